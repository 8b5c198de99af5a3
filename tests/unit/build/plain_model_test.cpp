#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"

#include "plain_model.hpp"
#include "support/catch.hpp"

#include <fstream>

using namespace aipack;

namespace {

void write(const std::filesystem::path& file, std::string_view text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

std::vector<std::string> paths(const build::PlannedModel& model) {
  std::vector<std::string> result;
  for (const auto& file : model.files) {
    result.push_back(file.path);
  }
  return result;
}

ErrorCode refusal(const std::filesystem::path& path) {
  try {
    (void)build::collect_plain_model(path, {});
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

} // namespace

TEST_CASE("a plain model is every file of its folder in path order, without version control",
          "[build][plain_model]") {
  const io::TempDirectory dir;
  const auto folder = dir.path() / "llm";
  write(folder / "weights-2.safetensors", "22");
  write(folder / "weights-1.safetensors", "1");
  write(folder / "1/model.onnx", "onnx");
  write(folder / ".git/config", "x");
  const auto model = build::collect_plain_model(folder, {});
  CHECK(model.name == "llm");
  CHECK(model.plain);
  CHECK(paths(model) ==
        std::vector<std::string>{"1/model.onnx", "weights-1.safetensors", "weights-2.safetensors"});
  CHECK(model.files[2].size_bytes == 2);
  CHECK(build::collect_plain_model(folder / "", {}).name == "llm");
}

TEST_CASE("a plain model of one file keeps the file's name", "[build][plain_model]") {
  const io::TempDirectory dir;
  write(dir.path() / "m.gguf", "GGUF");
  const auto model = build::collect_plain_model(dir.path() / "m.gguf", {});
  CHECK(model.name == "m.gguf");
  CHECK(paths(model) == std::vector<std::string>{"m.gguf"});
}

TEST_CASE("a plain model follows the links of a Hugging Face cache", "[build][plain_model]") {
  const io::TempDirectory dir;
  write(dir.path() / "models--a--b/blobs/0123", "weights");
  const auto snapshot = dir.path() / "models--a--b/snapshots/main";
  std::filesystem::create_directories(snapshot);
  std::filesystem::create_symlink("../../blobs/0123", snapshot / "model.safetensors");
  const auto model = build::collect_plain_model(snapshot, {});
  CHECK(paths(model) == std::vector<std::string>{"model.safetensors"});
  CHECK(model.files[0].size_bytes == 7);
}

TEST_CASE("a plain model's links may not lead out of its folder", "[build][plain_model]") {
  const io::TempDirectory dir;
  write(dir.path() / "secret", "s");
  const auto folder = dir.path() / "m";
  write(folder / "a", "a");
  const std::string target =
      GENERATE(as<std::string>{}, "../secret", "/etc/hostname", "nowhere", "..");
  std::filesystem::create_symlink(target, folder / "link");
  CHECK(refusal(folder) == ErrorCode::invalid_input);
}

TEST_CASE("an empty or missing model folder is refused", "[build][plain_model]") {
  const io::TempDirectory dir;
  std::filesystem::create_directories(dir.path() / "empty");
  CHECK(refusal(dir.path() / "empty") == ErrorCode::invalid_input);
  CHECK(refusal(dir.path() / "absent") == ErrorCode::not_found);
}
