#include "aipack/trust/model_files.hpp"

#include "support.hpp"
#include "support/catch.hpp"

#include <fstream>

using namespace aipack;
using namespace aipack::trust;
using namespace aipack::trust::test;

namespace {

void write(const std::filesystem::path& file, std::string_view text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

std::vector<std::string> paths(const std::vector<sign::ModelFile>& files) {
  std::vector<std::string> result;
  for (const auto& file : files) {
    result.push_back(file.path);
  }
  return result;
}

} // namespace

TEST_CASE("The files of a model come in the order of its signature, without what git keeps",
          "[trust][model]") {
  const io::TempDirectory directory;
  const auto model = directory.path() / "llm";
  write(model / "a.txt", "1");
  write(model / "a-b", "2");
  write(model / "a/b", "3");
  write(model / ".git/config", "not a part of it");
  write(model / "model.sig", "nor is this");
  const auto files = hash_model(model, {.ignored_paths = default_ignored_paths()}, {});
  CHECK(paths(files) == std::vector<std::string>{"a/b", "a-b", "a.txt"});
  CHECK(files[2].digest == oci::Digest::of("1"));
}

TEST_CASE("A model that is one file is called '.'", "[trust][model]") {
  const io::TempDirectory directory;
  write(directory.path() / "m.onnx", "weights");
  const auto files = hash_model(directory.path() / "m.onnx", {}, {});
  REQUIRE(files.size() == 1);
  CHECK(files[0] == sign::ModelFile{".", oci::Digest::of("weights")});
}

TEST_CASE(
    "Symbolic links in a model are refused unless they are allowed, and never lead to folders",
    "[trust][model]") {
  const io::TempDirectory directory;
  const auto model = directory.path() / "llm";
  write(model / "real", "1");
  std::filesystem::create_symlink("real", model / "link");
  CHECK_THROWS_AS(hash_model(model, {}, {}), Error);
  CHECK(paths(hash_model(model, {.allow_symlinks = true}, {})) ==
        std::vector<std::string>{"link", "real"});
  std::filesystem::create_directory_symlink("/", model / "root");
  CHECK_THROWS_AS(hash_model(model, {.allow_symlinks = true}, {}), Error);
  CHECK_THROWS_AS(hash_model(directory.path() / "absent", {}, {}), Error);
}
