#include "aipack/core/error.hpp"
#include "aipack/sign/statement.hpp"
#include "aipack/transfer/attach.hpp"
#include "aipack/trust/images.hpp"
#include "aipack/trust/verification.hpp"

#include "small_debian.hpp"
#include "support/catch.hpp"

#include <filesystem>
#include <functional>

using namespace aipack;
using namespace aipack::build;
using namespace aipack::test;

namespace {

const sign::PrivateKey& key() {
  static const auto made = sign::PrivateKey::generate();
  return made;
}

sign::Policy policy() {
  return {.keys = {key().public_key()},
          .image = {.media_type = {}, .digest = oci::Digest::of("")},
          .time = std::chrono::sys_seconds(std::chrono::seconds(SmallDebian::signed_at))};
}

image::Location layout_at(const SmallDebian& debian, const std::string& name) {
  return image::Location::parse("oci:" + (debian.directory.path() / name).string() + ":1");
}

trust::SigningReport build_signed(const Engine& engine, const BuildRequest& request,
                                  const image::Location& place) {
  const sign::Signatory signatory{.signer = key()};
  return engine
      .build(engine.plan(request, {}),
             Outputs{.destinations = {place},
                     .signing = {.signatory = &signatory, .signed_at = policy().time},
                     .signed_name = "r.example/team/linear:1"},
             {})
      .attached;
}

Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::internal, "nothing was thrown"};
}

} // namespace

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
  const auto origin = transfer::open_origin(place, engine.registries(), {});
  const auto provenance = trust::trusted_statements(*origin, origin->resolve({}), policy(),
                                                    sign::predicate_type::slsa_provenance_v1, {});
  const auto annex = transfer::open_annex(forged, engine.registries());
  const auto forged_origin = transfer::open_origin(forged, engine.registries(), {});
  trust::annotate(*annex,
                  {.attestations = {{{forged_origin->resolve({})},
                                     std::string(sign::predicate_type::slsa_provenance_v1),
                                     provenance.front().predicate}}},
                  {.signer = key()}, {.signed_at = policy().time}, {});

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
