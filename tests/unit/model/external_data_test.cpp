#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/model/model.hpp"

#include "external_data.hpp"
#include "support/catch.hpp"
#include "support/onnx_builder.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

using namespace aipack;
using namespace aipack::model;
namespace onnx = aipack::test::onnx;
namespace stdfs = std::filesystem;

namespace {

void write(const stdfs::path& path, const std::string& bytes) {
  stdfs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A folder with a model whose weight is described by `entries`, and 32 bytes in weights.bin beside
/// it.
Model inspect_with(const stdfs::path& folder, const onnx::Entries& entries,
                   const std::vector<std::int64_t>& dims = {4, 2}) {
  write(folder / "m.onnx",
        onnx::model_of(onnx::linear_with(onnx::external_tensor("w", dims, entries))));
  return inspect(folder / "m.onnx", {});
}

bool has_error(const Model& model, std::string_view rule) {
  return std::ranges::any_of(model.findings, [&](const Finding& finding) {
    return finding.rule == rule && finding.severity == Severity::error;
  });
}

} // namespace

TEST_CASE("external data beside the model is listed with the model's files", "[model][external]") {
  const io::TempDirectory folder;
  write(folder.path() / "parts/weights.bin", std::string(96, 'x'));
  const auto model = inspect_with(
      folder.path(), {{"location", "./parts//weights.bin"}, {"offset", "64"}, {"length", "32"}});
  REQUIRE(model.files.size() == 2);
  CHECK(model.name == "m");
  CHECK(model.files[0].path == "m.onnx");
  CHECK(model.files[1].path == "parts/weights.bin");
  CHECK(model.files[1].size_bytes == 96);
  CHECK(model.files[1].identity.inode != 0);
  CHECK(model.external_bytes == 32);
  CHECK(model.weight_bytes == 40);
  CHECK(model.size_bytes() == model.files[0].size_bytes + 96);
  CHECK_NOTHROW(require_acceptable(model));
}

TEST_CASE("external data is refused by the text of its location", "[model][external]") {
  CHECK_FALSE(refuse_location("weights.bin"));
  CHECK_FALSE(refuse_location("a..b/c"));
  CHECK_FALSE(refuse_location("..."));
  const auto location =
      GENERATE(as<std::string>(), "", "/etc/passwd", "../weights.bin", "a/../../b", "..", "a/..",
               "a\\b", "C:/x", "C:\\x", "file:x", "file:///etc/passwd", "https://h/x", ".", "./",
               std::string("a\0b", 3));
  INFO(location);
  CHECK(refuse_location(location).has_value());
}

TEST_CASE("external data with a hostile location is refused wherever a tensor can stand",
          "[model][external]") {
  const auto [location, rule] = GENERATE(table<std::string, std::string>({
      {"../weights.bin", "ONNX-EXT-PATH"},
      {"/etc/passwd", "ONNX-EXT-PATH"},
      {"*/_ORT_MEM_ADDR_/*", "ONNX-EXT-MEMADDR"},
      {"*/_ORT_MEM_ADDR_/*/x", "ONNX-EXT-MEMADDR"},
  }));
  const io::TempDirectory folder;
  for (const auto& [place, bytes] : onnx::external_everywhere(location)) {
    INFO(place << ": " << location);
    write(folder.path() / "m.onnx", bytes);
    const auto model = inspect(folder.path() / "m.onnx", {});
    CHECK(has_error(model, rule));
    CHECK(model.files.size() == 1);
    CHECK_THROWS_AS(require_acceptable(model), Error);
  }
}

TEST_CASE("external data must be a file of its own inside the model's folder",
          "[model][external]") {
  const io::TempDirectory outside;
  const io::TempDirectory folder;
  write(outside.path() / "secret", std::string(32, 's'));
  const onnx::Entries entries{{"location", "sub/weights.bin"}};
  stdfs::create_directories(folder.path() / "sub");
  SECTION("missing") {}
  SECTION("a symbolic link") {
    stdfs::create_symlink(outside.path() / "secret", folder.path() / "sub/weights.bin");
  }
  SECTION("a symbolic link to a file beside it") {
    write(folder.path() / "real.bin", std::string(32, 'x'));
    stdfs::create_symlink("../real.bin", folder.path() / "sub/weights.bin");
  }
  SECTION("a symbolic link on the way") {
    stdfs::remove(folder.path() / "sub");
    write(outside.path() / "weights.bin", std::string(32, 's'));
    stdfs::create_directory_symlink(outside.path(), folder.path() / "sub");
  }
  SECTION("a hard link") {
    stdfs::create_hard_link(outside.path() / "secret", folder.path() / "sub/weights.bin");
  }
  SECTION("a folder") {
    stdfs::create_directories(folder.path() / "sub/weights.bin");
  }
  const auto model = inspect_with(folder.path(), entries);
  CHECK(has_error(model, "ONNX-EXT-PATH"));
  CHECK(model.files.size() == 1);
}

TEST_CASE("external data must lie inside its file and fit its shape", "[model][external]") {
  const io::TempDirectory folder;
  write(folder.path() / "weights.bin", std::string(32, 'x'));
  const auto entries = GENERATE(values<onnx::Entries>({
      {{"location", "weights.bin"}, {"offset", "1"}},
      {{"location", "weights.bin"}, {"offset", "1"}, {"length", "32"}},
      {{"location", "weights.bin"}, {"offset", "33"}, {"length", "32"}},
      {{"location", "weights.bin"}, {"length", "16"}},
      {{"location", "weights.bin"}, {"offset", "18446744073709551615"}, {"length", "32"}},
      {{"location", "weights.bin"}, {"offset", "99999999999999999999"}},
      {{"location", "weights.bin"}, {"offset", "-1"}},
      {{"location", "weights.bin"}, {"offset", "0x10"}},
      {{"location", "weights.bin"}, {"length", ""}},
      {{"location", "weights.bin"}, {"basepath", "/"}},
      {{"location", "weights.bin"}, {"lenght", "32"}},
  }));
  CHECK(has_error(inspect_with(folder.path(), entries), "ONNX-EXT-RANGE"));
}

TEST_CASE("external data that is also inline is refused", "[model][external]") {
  const io::TempDirectory folder;
  write(folder.path() / "weights.bin", std::string(32, 'x'));
  const auto both = onnx::external_tensor("w", {4, 2}, {{"location", "weights.bin"}}) +
                    onnx::message([](auto& w) { w.add_string(9, std::string(32, 'x')); });
  write(folder.path() / "m.onnx", onnx::model_of(onnx::linear_with(both)));
  CHECK(has_error(inspect(folder.path() / "m.onnx", {}), "ONNX-TENSOR"));
}

TEST_CASE("external data that overlaps or is mostly unused is pointed out", "[model][external]") {
  const io::TempDirectory folder;
  const auto warned = [](const Model& model) {
    return std::ranges::any_of(model.findings, [](const Finding& f) {
      return f.rule == "ONNX-EXT-HOLE" && f.severity == Severity::warning;
    });
  };
  const auto two = [&](const std::string& second_offset) {
    auto graph = onnx::linear_with(
        onnx::external_tensor("w", {4, 2}, {{"location", "weights.bin"}, {"offset", "0"}}));
    graph.initializers.push_back(onnx::external_tensor(
        "v", {4, 2}, {{"location", "weights.bin"}, {"offset", second_offset}}));
    write(folder.path() / "m.onnx", onnx::model_of(graph));
    return inspect(folder.path() / "m.onnx", {});
  };
  write(folder.path() / "weights.bin", std::string(64, 'x'));
  CHECK(warned(two("16")));
  CHECK_FALSE(warned(two("32")));
  CHECK_FALSE(warned(two("0"))); // two tensors that share their bytes
  write(folder.path() / "weights.bin", std::string((std::size_t{2} << 20), 'x'));
  CHECK(warned(two("32")));
}

TEST_CASE("external data is not looked for when the model is not a file", "[model][external]") {
  CHECK(normal_location("./a//b/.") == "a/b");
  Findings findings(5);
  ExternalData external({}, findings);
  static_cast<void>(external.add({{"location", "weights.bin"}}, 4, "w"));
  CHECK(external.finish().empty());
  CHECK(findings.take().front().rule == "ONNX-EXT-PATH");
}
