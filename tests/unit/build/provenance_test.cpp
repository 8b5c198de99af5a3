#include "aipack/core/error.hpp"

#include "provenance.hpp"
#include "small_debian.hpp"
#include "support/catch.hpp"

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
  const auto text = write_provenance(plan);
  CHECK(text == write_provenance(planned(debian)));
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
  const auto provenance = read_provenance(write_provenance(plan), "the provenance");
  CHECK(provenance.request.platforms == plan.request.platforms);
  CHECK(provenance.request.env == plan.request.env);
  CHECK(provenance.request.labels == plan.request.labels);
  CHECK(provenance.request.compression == plan.request.compression);
  CHECK(provenance.request.user == default_user);
  CHECK(nlohmann::json::parse(provenance.lock) == nlohmann::json::parse(write_lock(plan)));
}

TEST_CASE("Provenance of other builders, and what is none, is refused", "[build][provenance]") {
  const SmallDebian debian;
  const auto text = write_provenance(planned(debian));
  auto foreign = nlohmann::json::parse(text);
  foreign["buildDefinition"]["buildType"] = "https://example.org/build/v1";
  try {
    (void)read_provenance(foreign.dump(), "it");
    FAIL("it was read");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
  }
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
