#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/runtime/runtime.hpp"

#include "support/catch.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace aipack;
using namespace aipack::runtime;
namespace stdfs = std::filesystem;

namespace {

const oci::Platform amd64 = oci::Platform::parse("linux/amd64");

/// The catalog that aipack installs.
std::unique_ptr<RuntimeCatalog> shipped() {
  return load_catalog(std::array{stdfs::path(AIPACK_CATALOG)});
}

model::Model sound_model() {
  model::Model model;
  model.name = "m";
  model.ir_version = 8;
  model.opsets = {{.domain = "", .version = 17}};
  model.operator_uses = {{.domain = "",
                          .name = "Gemm",
                          .opset_version = 17,
                          .since_version = 13,
                          .types = {{"T", "float"}},
                          .count = 1}};
  return model;
}

std::string entry(const std::string& name, const std::string& title) {
  return R"({"name": ")" + name + R"(", "version": "1", "title": ")" + title +
         R"(", "formats": ["onnx"], "platforms": ["linux/amd64"], "suite": "trixie", "packages": ["p"],
            "server_path": "/r", "entrypoint": ["/r"], "models_directory": "/models"})";
}

void write(const stdfs::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

std::vector<std::string> reasons(const model::Model& model) {
  const auto catalog = shipped();
  return catalog->reasons_against(catalog->runtimes().front(), model, amd64);
}

} // namespace

TEST_CASE("the shipped catalog serves ONNX on three architectures", "[runtime][catalog]") {
  const auto catalog = shipped();
  REQUIRE(catalog->runtimes().size() == 1);
  const auto& runtime = catalog->runtimes().front();
  CHECK(runtime.name == "onnxruntime");
  CHECK(runtime.platforms == oci::Platform::all());
  for (const auto& platform : oci::Platform::all()) {
    const auto choice = catalog->choose(sound_model(), platform, "");
    REQUIRE(std::holds_alternative<Runtime>(choice));
    const auto filled = std::get<Runtime>(choice).for_platform(platform);
    CHECK(filled.server == "serve/" + platform.architecture + "/aipack-serve");
    CHECK(filled.dlopened.front().find('{') == std::string::npos);
  }
}

TEST_CASE("the shipped catalog refuses what ONNX Runtime 1.21 cannot serve, and says why",
          "[runtime][catalog]") {
  auto model = sound_model();
  std::string expected;
  SECTION("IR version") {
    model.ir_version = 11;
    expected = "IR version 11";
  }
  SECTION("opset") {
    model.opsets.front().version = 23;
    model.operator_uses.front().opset_version = 23;
    expected = "opset 23 of ai.onnx";
  }
  SECTION("opset of another domain") {
    model.opsets.push_back({.domain = "ai.onnx.ml", .version = 6});
    expected = "opset 6 of ai.onnx.ml";
  }
  SECTION("an operator that was accepted and never implemented") {
    model.operator_uses.push_back({.domain = "", .name = "DeformConv", .opset_version = 19});
    expected = "DeformConv-19 is not implemented";
  }
  SECTION("an operator for some types only") {
    model.operator_uses.push_back(
        {.domain = "", .name = "Max", .opset_version = 13, .types = {{"T", "int8"}}});
    expected = "Max-13 is not implemented for T=int8";
  }
  SECTION("an operator before its first kernel") {
    model.operator_uses.push_back({.domain = "", .name = "Add", .opset_version = 6});
    expected = "Add-6 is not implemented";
  }
  SECTION("an operator that does not exist") {
    model.operator_uses.push_back({.domain = "", .name = "Bless", .opset_version = 17});
    expected = "Bless is not an operator";
  }
  SECTION("operators of a library") {
    model.operator_uses.push_back(
        {.domain = "ai.onnx.contrib", .name = "Tokenize", .opset_version = 1});
    expected = "domain 'ai.onnx.contrib'";
  }
  SECTION("batch-first recurrence") {
    model.operator_uses.push_back(
        {.domain = "", .name = "LSTM", .opset_version = 14, .traits = {{"layout", "1"}}});
    expected = "LSTM with layout '1'";
  }
  REQUIRE(!expected.empty());
  const auto all = reasons(model);
  REQUIRE(all.size() == 1);
  CHECK_THAT(all.front(), ContainsSubstring(expected));
}

TEST_CASE("the shipped catalog does not mind a domain that is imported and unused",
          "[runtime][catalog]") {
  auto model = sound_model();
  model.opsets.push_back({.domain = "ai.onnx.contrib", .version = 1});
  CHECK(reasons(model).empty());
}

TEST_CASE("choose gives the reasons of every runtime that was turned down", "[runtime][catalog]") {
  auto model = sound_model();
  model.ir_version = 99;
  const auto choice = shipped()->choose(model, amd64, "");
  REQUIRE(std::holds_alternative<std::vector<Rejection>>(choice));
  CHECK(std::get<std::vector<Rejection>>(choice).front().runtime == "onnxruntime");
  const auto elsewhere = shipped()->choose(sound_model(), oci::Platform::parse("linux/s390x"), "");
  CHECK(std::holds_alternative<std::vector<Rejection>>(elsewhere));
}

TEST_CASE("choose names a runtime that does not exist, and a near one", "[runtime][catalog]") {
  try {
    static_cast<void>(shipped()->choose(sound_model(), amd64, "onnxruntim"));
    FAIL("chosen");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK_THAT(error.hint(), ContainsSubstring("'onnxruntime'"));
  }
}

TEST_CASE("load_catalog lets later directories replace and extend earlier ones",
          "[runtime][catalog]") {
  const io::TempDirectory first;
  const io::TempDirectory second;
  write(first.path() / "b.json", entry("b", "first b"));
  write(first.path() / "a.json", entry("a", "first a"));
  write(first.path() / "notes.txt", "not an entry");
  write(second.path() / "z.json", entry("a", "second a"));
  write(second.path() / "c.json", entry("c", "second c"));
  const auto catalog = load_catalog(std::array{first.path(), second.path()});
  std::vector<std::string> titles;
  for (const auto& runtime : catalog->runtimes()) {
    titles.push_back(runtime.title);
  }
  CHECK(titles == std::vector<std::string>{"second a", "first b", "second c"});
  CHECK(std::get<Runtime>(catalog->choose(sound_model(), amd64, "c")).name == "c");
}

TEST_CASE("load_catalog names the file that it cannot read", "[runtime][catalog]") {
  const io::TempDirectory folder;
  const auto message_of = [&] {
    try {
      static_cast<void>(load_catalog(std::array{folder.path()}));
    } catch (const Error& error) {
      return error.message();
    }
    return std::string();
  };
  CHECK(message_of().empty()); // an empty catalog is one
  write(folder.path() / "broken.json", "{");
  CHECK_THAT(message_of(), ContainsSubstring("broken.json"));
  write(folder.path() / "broken.json",
        entry("r", "t").insert(1, "\"operator_table\": \"missing.json\","));
  CHECK_THAT(message_of(), ContainsSubstring("missing.json"));
  CHECK_THROWS_AS(load_catalog(std::array{folder.path() / "nowhere"}), Error);
}
