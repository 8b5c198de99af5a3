#include "signed_build.hpp"
#include "support/catch.hpp"

#include <filesystem>

using namespace aipack;
using namespace aipack::build;
using namespace aipack::test;

TEST_CASE("A signed build attaches signatures, SBOMs, provenance, findings and the model's own "
          "signature, and a second one nothing",
          "[build][signing]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto place = layout_at(debian, "image.oci");
  const auto first = build_signed(engine, debian.request(), place);
  CHECK(first.signatures == 4);   // index and image, bundle and tag
  CHECK(first.attestations == 8); // SBOMs and provenance of both, findings, the model
  auto asked = policy();
  for (const auto type : {sign::predicate_type::spdx, sign::predicate_type::cyclonedx,
                          sign::predicate_type::slsa_provenance_v1}) {
    asked.attestations.push_back({.predicate_type = std::string(type)});
  }
  const auto origin = transfer::open_origin(place, engine.registries(), {});
  CHECK(trust::verify_image(*origin, {.policy = asked, .every_platform = true}, {}).verified);

  const auto second = build_signed(engine, debian.request(), place);
  CHECK(second.signatures == 0);
  CHECK(second.attestations == 0);
  CHECK(second.present == 12);
}

TEST_CASE("An image is composed again from its provenance, models and files out of itself",
          "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  auto request = debian.request();
  const auto folder = debian.directory.path() / "own";
  std::filesystem::create_directories(folder / "bin");
  testing::write_file(folder / "bin/run", "#!/bin/true\n");
  std::filesystem::permissions(folder / "bin/run", std::filesystem::perms::owner_exec,
                               std::filesystem::perm_options::add);
  testing::write_file(folder / "settings", "x = 1\n");
  std::filesystem::create_symlink("settings", folder / "link");
  request.files = {{folder, fs::RootPath::parse("/opt/own")}};
  request.env = {"A=b"};
  const auto place = layout_at(debian, "image.oci");
  build_signed(engine, request, place);
  // Nothing of the user's is needed again.
  std::filesystem::remove_all(folder);
  std::filesystem::remove(debian.model);
  const auto report =
      engine.verify_rebuild(place, {.policy = policy(), .mirror = debian.mirror.string()}, {});
  CHECK(report.reason == "composed again from its provenance, bit for bit the same");
  CHECK(report.verified);
  CHECK(report.expected == report.rebuilt);
  CHECK(report.layers.empty());
}

TEST_CASE("A package that differs by one byte is found, and its layer named", "[build][rebuild]") {
  const SmallDebian honest;
  const auto engine = honest.engine();
  const auto place = layout_at(honest, "image.oci");
  build_signed(engine, honest.request(), place);

  // Whoever holds the key says of another image that it was built in the same way.
  SmallDebian other("date");
  const auto other_engine = other.engine();
  const auto forged = layout_at(honest, "forged.oci");
  other_engine.build(other_engine.plan(other.request(), {}), forged, {});
  attest(engine, forged, provenance_of(engine, place));

  const auto report =
      engine.verify_rebuild(forged, {.policy = policy(), .mirror = honest.mirror.string()}, {});
  CHECK_FALSE(report.verified);
  REQUIRE_FALSE(report.layers.empty());
  bool runtime_differs = false;
  for (const auto& layer : report.layers) {
    runtime_differs |= layer.purpose == image::Purpose::runtime;
    CHECK(layer.platform.to_string() == "linux/amd64");
  }
  CHECK(runtime_differs);
  CHECK(report.reason.find("layer of linux/amd64 is not what its provenance gives") !=
        std::string::npos);
}

TEST_CASE("Nothing is rebuilt on the word of a stranger, or without provenance",
          "[build][rebuild]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto place = layout_at(debian, "image.oci");
  build_signed(engine, debian.request(), place);
  auto strangers = policy();
  strangers.keys = {sign::PrivateKey::generate().public_key()};
  const RebuildRequest request{.policy = strangers, .mirror = debian.mirror.string()};
  CHECK(error_of([&] { (void)engine.verify_rebuild(place, request, {}); }).code() ==
        ErrorCode::corrupt);
  const auto bare = layout_at(debian, "bare.oci");
  engine.build(engine.plan(debian.request(), {}), bare, {});
  CHECK(error_of([&] {
          (void)engine.verify_rebuild(bare, {.policy = policy(), .mirror = debian.mirror.string()},
                                      {});
        }).code() == ErrorCode::corrupt);
}
