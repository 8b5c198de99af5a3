#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/model/model.hpp"

#include "support/catch.hpp"
#include "support/onnx_builder.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>

using namespace aipack;
using namespace aipack::model;
namespace onnx = aipack::test::onnx;
namespace stdfs = std::filesystem;

namespace {

void write(const stdfs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// The error that inspect() throws.
Error error_of(const stdfs::path& path) {
  try {
    static_cast<void>(inspect(path, {}));
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "no error");
}

} // namespace

TEST_CASE("inspect takes the one model of a folder", "[model][inspect]") {
  const io::TempDirectory folder;
  write(folder.path() / "readme.txt", "x");
  write(folder.path() / "classifier.onnx", onnx::model_of(onnx::linear()));
  const auto model = inspect(folder.path(), {});
  CHECK(model.name == "classifier");
  CHECK(model.files.front().path == "classifier.onnx");
  CHECK(model.files.front().source == folder.path() / "classifier.onnx");
}

TEST_CASE("inspect says what a folder holds when it cannot choose", "[model][inspect]") {
  const io::TempDirectory folder;
  write(folder.path() / "weights.safetensors", "x");
  const auto none = error_of(folder.path());
  CHECK(none.code() == ErrorCode::invalid_input);
  CHECK_THAT(none.message(), ContainsSubstring("weights.safetensors"));
  write(folder.path() / "b.onnx", onnx::model_of(onnx::linear()));
  write(folder.path() / "a.onnx", onnx::model_of(onnx::linear()));
  const auto two = error_of(folder.path());
  CHECK(two.code() == ErrorCode::invalid_input);
  CHECK_THAT(two.message(), ContainsSubstring("'a.onnx', 'b.onnx'"));
}

TEST_CASE("inspect follows a symbolic link that a person names, and keeps its name",
          "[model][inspect]") {
  const io::TempDirectory folder;
  const io::TempDirectory cache;
  write(cache.path() / "0123abcd", onnx::model_of(onnx::linear()));
  stdfs::create_symlink(cache.path() / "0123abcd", folder.path() / "model.onnx");
  CHECK(inspect(folder.path() / "model.onnx", {}).name == "model");
  CHECK(inspect(folder.path(), {}).name == "model");
}

TEST_CASE("inspect names what is not there and what is no file", "[model][inspect]") {
  const io::TempDirectory folder;
  CHECK(error_of(folder.path() / "missing.onnx").code() == ErrorCode::not_found);
  const auto fifo = folder.path() / "fifo.onnx";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(error_of(fifo).code() == ErrorCode::invalid_input);
}

TEST_CASE("inspect recognises other files by their content", "[model][inspect]") {
  using namespace std::string_literals;
  const auto [bytes, what, code] = GENERATE(table<std::string, std::string, ErrorCode>({
      {"", "an empty file", ErrorCode::invalid_input},
      {"GGUF\3\0\0\0"s, "GGUF", ErrorCode::unsupported},
      {"\x1c\0\0\0TFL3"s, "TensorFlow Lite", ErrorCode::unsupported},
      {"\x08\0\0\0\0\0\0\0{\"a\":{}}"s, "safetensors", ErrorCode::unsupported},
      {"\x80\4\x95\0"s, "pickle", ErrorCode::unsupported},
      {"PK\3\4....archive/data.pkl"s, "PyTorch", ErrorCode::unsupported},
      {"PK\3\4....x"s, "zip", ErrorCode::invalid_input},
      {"\x89HDF\r\n\x1a\n"s, "HDF5", ErrorCode::unsupported},
      {"tree\nversion=v3\n", "LightGBM", ErrorCode::unsupported},
      {"{\"learner\":{}}", "XGBoost", ErrorCode::unsupported},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS",
       ErrorCode::invalid_input},
      {"\x7f"
       "ELF\2\1\1"s,
       "ELF", ErrorCode::invalid_input},
      {"\n <!DOCTYPE html><html>Sign in</html>", "web page", ErrorCode::invalid_input},
      {"\x1f\x8b\x08"s, "gzip", ErrorCode::invalid_input},
      {"complete nonsense", "not recognised", ErrorCode::invalid_input},
  }));
  const io::TempDirectory folder;
  write(folder.path() / "m.onnx", bytes);
  const auto error = error_of(folder.path() / "m.onnx");
  INFO(error.message());
  CHECK(error.code() == code);
  CHECK_THAT(error.message(), ContainsSubstring(what));
  CHECK_FALSE(error.hint().empty());
}

TEST_CASE("inspect of a model larger than memory touches only its headers", "[model][inspect]") {
  // 4 GiB of zeros that take no disk: sparse, inside one raw_data field.
  const io::TempDirectory folder;
  const auto path = folder.path() / "large.onnx";
  constexpr std::uint64_t bytes = std::uint64_t{4} << 30;
  const auto varint = [](std::uint64_t value) {
    std::string text;
    for (; value > 127; value >>= 7) {
      text += static_cast<char>((value & 127) | 128);
    }
    return text + static_cast<char>(value);
  };
  const auto tensor_head = onnx::message([&](auto& w) {
                             w.add_int64(1, static_cast<std::int64_t>(bytes / 4));
                             w.add_int32(2, onnx::type_float);
                             w.add_string(8, "w");
                           }) +
                           "\x4a" + varint(bytes);
  const auto graph_head = "\x2a" + varint(tensor_head.size() + bytes) + tensor_head;
  const auto head = onnx::Model{}.bytes() + "\x3a" + varint(graph_head.size() + bytes) + graph_head;
  write(path, head);
  stdfs::resize_file(path, head.size() + bytes);
  const auto model = inspect(path, {});
  CHECK(model.weight_bytes == bytes);
  CHECK(model.parameter_count == bytes / 4);
  CHECK(model.memory_bytes_estimate > bytes);
}

TEST_CASE("require_acceptable names the first error and counts the others", "[model][inspect]") {
  Model model;
  model.name = "m";
  CHECK_NOTHROW(require_acceptable(model));
  model.findings = {{.rule = "ONNX-GRAPH", .severity = Severity::warning, .message = "w"},
                    {.rule = "ONNX-EXT-PATH",
                     .severity = Severity::error,
                     .message = "first",
                     .location = "graph"},
                    {.rule = "ONNX-TENSOR", .severity = Severity::error, .message = "second"}};
  try {
    require_acceptable(model);
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    CHECK(error.message() == "cannot accept model 'm': first [ONNX-EXT-PATH] (graph), and 1 more");
  }
}
