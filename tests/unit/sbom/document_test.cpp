#include "document.hpp"
#include "sample.hpp"
#include "support/catch.hpp"

#include <set>

using namespace aipack;
using namespace aipack::sbom;
using namespace aipack::test;

TEST_CASE("A document's name and time come from its content", "[sbom][document]") {
  const StoredSample stored;
  const auto inventory = stored.inventory();
  const auto spdx = Json::parse(write_spdx(inventory));
  const auto cyclonedx = Json::parse(write_cyclonedx(inventory));
  CHECK(spdx["creationInfo"]["created"] == "2025-09-12T07:55:41Z");
  CHECK(cyclonedx["metadata"]["timestamp"] == "2025-09-12T07:55:41Z");
  CHECK_THAT(spdx["documentNamespace"].get<std::string>(),
             ContainsSubstring(inventory.subject.digest.hex()));

  auto other = inventory;
  other.images.front().packages.front().version = "1.0-2";
  CHECK(Json::parse(write_spdx(other))["documentNamespace"] != spdx["documentNamespace"]);
  CHECK(Json::parse(write_cyclonedx(other))["serialNumber"] != cyclonedx["serialNumber"]);
}

TEST_CASE("Without a time documents have the epoch's", "[sbom][document]") {
  auto inventory = StoredSample().inventory();
  inventory.created.clear();
  CHECK(Json::parse(write_spdx(inventory))["creationInfo"]["created"] == "1970-01-01T00:00:00Z");
}

TEST_CASE("Documents list every package, every model file and the licence of each",
          "[sbom][document]") {
  const StoredSample stored({.user_files = {{"etc/app.conf", "x"}}});
  const auto inventory = stored.inventory();
  const auto spdx = Json::parse(write_spdx(inventory));
  std::set<std::string> names;
  for (const auto& package : spdx["packages"]) {
    CHECK_FALSE(package["licenseDeclared"].get<std::string>().empty());
    names.insert(package["name"]);
  }
  CHECK(names == std::set<std::string>{"linear", "libdemo", "tzdata", "demo", "aipack-serve",
                                       "linear files"});
  std::set<std::string> files;
  for (const auto& file : spdx["files"]) {
    files.insert(file["fileName"]);
  }
  CHECK(files == std::set<std::string>{"./models/linear.onnx", "./etc/app.conf"});

  const auto cyclonedx = Json::parse(write_cyclonedx(inventory));
  std::map<std::string, std::size_t> types;
  for (const auto& component : cyclonedx["components"]) {
    ++types[component["type"]];
  }
  // libdemo for two platforms, tzdata ("all") once.
  CHECK(types == std::map<std::string, std::size_t>{{"machine-learning-model", 1},
                                                    {"library", 3},
                                                    {"operating-system", 1},
                                                    {"framework", 1},
                                                    {"application", 2},
                                                    {"file", 2},
                                                    {"container", 2}});
}

TEST_CASE("A UUID is made of a digest", "[sbom][document]") {
  const auto uuid = uuid_of(oci::Digest::of("x"));
  REQUIRE(uuid.size() == 36);
  CHECK(uuid[14] == '8');
  CHECK(std::string_view("89ab").find(uuid[19]) != std::string_view::npos);
  CHECK(uuid_of(oci::Digest::of("x")) == uuid);
  CHECK(uuid_of(oci::Digest::of("y")) != uuid);
}

TEST_CASE("Identifiers are valid and unique", "[sbom][document]") {
  Identifiers ids;
  CHECK(ids.make("Deb-g++") == "SPDXRef-Deb-g--");
  CHECK(ids.make("Deb-g--") == "SPDXRef-Deb-g---2");
  CHECK(ids.make("Deb-g__") == "SPDXRef-Deb-g---3");
  CHECK(ids.make("") == "SPDXRef-");
}

TEST_CASE("Names of formats parse back", "[sbom][document]") {
  for (const auto format : {Format::spdx_json, Format::cyclonedx_json}) {
    CHECK(parse_format(to_string(format)) == format);
    CHECK(media_type(format).ends_with("+json"));
  }
  CHECK_THROWS_AS(parse_format("yaml"), Error);
}

TEST_CASE("Names that are no UTF-8 do not break a document", "[sbom][document]") {
  auto inventory = StoredSample().inventory();
  inventory.models.front().facts->producer_name = "\xff";
  CHECK_NOTHROW(Json::parse(write_spdx(inventory)));
  CHECK_NOTHROW(Json::parse(write_cyclonedx(inventory)));
}
