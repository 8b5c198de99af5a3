#include "aipack/core/error.hpp"

#include "provenance.hpp"
#include "small_debian.hpp"
#include "support/catch.hpp"
#include "user_files.hpp"

#include <nlohmann/json.hpp>

using namespace aipack;
using namespace aipack::build;
using namespace aipack::test;

namespace {

Plan planned(const SmallDebian& debian) {
  auto request = debian.request();
  request.env = {"A=b"};
  request.labels = {{"org.example.x", "y"}};
  request.compression = codec::Compression::parse("zstd:3");
  return debian.engine().plan(request, {});
}

} // namespace

TEST_CASE("Provenance names every input by digest and nothing of the machine",
          "[build][provenance]") {
  const SmallDebian debian;
  const auto plan = planned(debian);
  const auto text = write_provenance(plan, {});
  CHECK(text == write_provenance(planned(debian), {}));
  CHECK(text.find(debian.directory.path().string()) == std::string::npos);

  const auto json = nlohmann::json::parse(text);
  std::map<std::string, std::string> digests;
  for (const auto& dependency : json["buildDefinition"]["resolvedDependencies"]) {
    digests[dependency["name"]] = dependency["digest"]["sha256"];
  }
  const auto& image = plan.images.front();
  CHECK(digests.at("model linear: linear.onnx") == plan.models.front().digests.front()->hex());
  CHECK(digests.at("sid InRelease") == image.releases.front().digest.hex());
  CHECK(digests.at("sid " + image.indexes.front().path) == image.indexes.front().digest.hex());
  const auto& package = image.choices.front().package;
  CHECK(digests.at(package.name + "_" + package.version + "_" + package.architecture) ==
        package.digest.hex());
  CHECK(digests.at(image.runtime.server) == image.server_digest->hex());
  CHECK(json["runDetails"]["builder"]["id"] == "https://aipack.dev/builder");
}

TEST_CASE("What provenance says can be asked for again", "[build][provenance]") {
  const SmallDebian debian;
  const auto plan = planned(debian);
  const auto provenance = read_provenance(write_provenance(plan, {}), "the provenance");
  CHECK(provenance.request.platforms == plan.request.platforms);
  CHECK(provenance.request.env == plan.request.env);
  CHECK(provenance.request.labels == plan.request.labels);
  CHECK(provenance.request.compression == plan.request.compression);
  CHECK(provenance.request.user == default_user);
  CHECK(nlohmann::json::parse(provenance.lock) == nlohmann::json::parse(write_lock(plan)));
}

TEST_CASE("Provenance states the user's files by digest, mode and link, and the base without its "
          "place on the disk",
          "[build][provenance]") {
  const SmallDebian debian;
  auto plan = planned(debian);
  const auto folder = debian.directory.path() / "own";
  std::filesystem::create_directories(folder);
  testing::write_file(folder / "run", "first");
  testing::write_file(debian.directory.path() / "later", "later");
  std::filesystem::create_symlink("run", folder / "link");
  std::filesystem::permissions(folder / "run", std::filesystem::perms::owner_exec,
                               std::filesystem::perm_options::add);
  // The second mapping replaces what the first one brings.
  testing::write_file(folder / "replaced", "never seen");
  plan.files = plan_user_files(
      {{folder, fs::RootPath::parse("/opt/own")},
       {debian.directory.path() / "later", fs::RootPath::parse("/opt/own/replaced")}},
      {});
  plan.request.base = "oci:" + debian.directory.path().string() + ":1";
  plan.images.front().base = PinnedBase{
      plan.request.base,
      {.media_type = std::string(oci::media_type::manifest), .digest = oci::Digest::of("base")}};
  const auto text = write_provenance(plan, {});
  CHECK(text.find(debian.directory.path().string()) == std::string::npos);
  CHECK(text.find(oci::Digest::of("base").hex()) != std::string::npos);

  const auto provenance = read_provenance(text, "it");
  CHECK(is_local_base(provenance.request.base));
  CHECK(provenance.files == plan.files);
  REQUIRE(provenance.files.size() == 2);
  const auto& entries = provenance.files.front().entries;
  REQUIRE(entries.size() == 3); // the folder, the link, the program
  CHECK(entries[1].link_target == "run");
  CHECK(entries[2].mode == 0755);
  CHECK(entries[2].digest == oci::Digest::of("first"));
  CHECK(provenance.files.back().entries.front().digest == oci::Digest::of("later"));
  bool is_input = false;
  const auto json = nlohmann::json::parse(text);
  for (const auto& dependency : json["buildDefinition"]["resolvedDependencies"]) {
    is_input |= dependency["name"] == "file /opt/own/run" &&
                dependency["digest"]["sha256"] == oci::Digest::of("first").hex();
  }
  CHECK(is_input);
}

TEST_CASE("Provenance whose files would be written elsewhere is refused", "[build][provenance]") {
  const SmallDebian debian;
  const auto good = nlohmann::json::parse(write_provenance(planned(debian), {}));
  const auto digest = oci::Digest::of("x").to_string();
  const auto with = [&](const std::string& entries) {
    auto json = good;
    json["buildDefinition"]["externalParameters"]["files"] = nlohmann::json::parse(
        R"([{"target": "/opt", "entries": [{"path": "/opt", "type": "directory"})" + entries +
        "]}]");
    return json.dump();
  };
  const auto file = [&](const std::string& path) {
    return R"(, {"path": ")" + path + R"(", "type": "file", "mode": "0644", "digest": ")" + digest +
           "\"}";
  };
  const auto link = [](const std::string& path, const std::string& to) {
    return R"(, {"path": ")" + path + R"(", "type": "link", "to": ")" + to + "\"}";
  };
  CHECK(read_provenance(with(file("/opt/a") + link("/opt/b", "a")), "it").files.size() == 1);
  for (const auto& bad :
       {file("/etc/a"), file("/opt/../a"), file("/opt/a/b"), file("/opt/a") + file("/opt/a"),
        link("/opt/a", "/etc"), link("/opt/a", "../etc"), link("/opt/a", ""), link("/opt", "x"),
        // through a link, and through a link that leads to one
        link("/opt/a", "b") + file("/opt/a/x"), link("/opt/a", "b") + link("/opt/a/x", "../../x"),
        std::string(R"(, {"path": "/opt/a", "type": "device"})"),
        std::string(R"(, {"path": "/opt/a", "type": "file", "mode": "4755", "digest": ")" + digest +
                    "\"}")}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(read_provenance(with(bad), "it"), FormatError);
  }
}

TEST_CASE("Provenance of other builders, and what is none, is refused", "[build][provenance]") {
  const SmallDebian debian;
  const auto text = write_provenance(planned(debian), {});
  auto foreign = nlohmann::json::parse(text);
  foreign["buildDefinition"]["buildType"] = "https://example.org/build/v1";
  try {
    (void)read_provenance(foreign.dump(), "it");
    FAIL("it was read");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
  }
  CHECK(is_own_provenance(text));
  CHECK_FALSE(is_own_provenance(foreign.dump()));
  CHECK_FALSE(is_own_provenance("[7]"));
  const auto without = [&](const std::string& part, const std::string& key) {
    auto json = nlohmann::json::parse(text);
    json["buildDefinition"][part].erase(key);
    return json.dump();
  };
  for (const auto& bad :
       {std::string("{}"), std::string("[]"), std::string("{\"buildDefinition\":7}"),
        text.substr(0, text.size() / 2), without("internalParameters", "lock"),
        without("internalParameters", "codec"), without("externalParameters", "compress")}) {
    CHECK_THROWS_AS(read_provenance(bad, "it"), FormatError);
  }
}

TEST_CASE("A model with a warning warns, one without passes", "[build][provenance]") {
  const SmallDebian debian;
  auto plan = planned(debian);
  plan.models.front().findings.clear();
  CHECK(nlohmann::json::parse(write_findings(plan))["result"] == "PASSED");
  plan.models.front().findings = {{.rule = "ONNX-X",
                                   .severity = model::Severity::warning,
                                   .message = "something is odd",
                                   .location = "graph"}};
  const auto json = nlohmann::json::parse(write_findings(plan));
  CHECK(json["result"] == "WARNED");
  CHECK(json["warnedTests"][0] == "linear: ONNX-X: something is odd at graph");
  CHECK(json["passedTests"].empty());
}
