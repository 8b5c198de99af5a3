#pragma once

#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/sign/key.hpp"
#include "aipack/trust/images.hpp"
#include "aipack/trust/signing.hpp"
#include "aipack/trust/verification.hpp"

#include "../transfer/support.hpp"
#include "support/registry_server.hpp"

#include <chrono>
#include <string>

namespace aipack::trust::test {

using namespace aipack::transfer::test;
using aipack::test::RegistryDialect;
using aipack::test::RegistryServer;

/// 2026-03-01, whatever the clock says.
inline constexpr std::chrono::sys_seconds test_time{std::chrono::seconds(1'772'323'200)};

inline const sign::PrivateKey& key() {
  static const auto made = sign::PrivateKey::generate();
  return made;
}

inline image::Location in_registry(const RegistryServer& server, const std::string& name) {
  return image::Location::parse("docker://" + server.host() + "/" + name);
}

inline image::Location in_layout(const std::filesystem::path& path, const std::string& tag = "1") {
  return image::Location::parse("oci:" + path.string() + ":" + tag);
}

inline registry::RegistryOptions patient() {
  registry::RegistryOptions options;
  options.patience.first_delay = std::chrono::milliseconds(1);
  options.patience.max_delay = std::chrono::milliseconds(5);
  return options;
}

/// An index of two platforms, brought to a place.
inline oci::Descriptor put_sample(const image::Location& place, registry::Registry& registry) {
  MemoryStore store;
  const auto index = sample_index(store, zstd, {"amd64", "arm64"}, 1000);
  transfer::copy(*transfer::open_origin(index), place, registry, {}, {});
  return index.document.descriptor();
}

inline sign::Policy policy_for(const sign::PublicKey& trusted) {
  return {.keys = {trusted},
          .image = {.media_type = {}, .digest = oci::Digest::of("")},
          .time = test_time};
}

inline VerifyReport verify_at(const image::Location& place, registry::Registry& registry,
                              const sign::PublicKey& trusted, bool every_platform = true) {
  return verify_image(*transfer::open_origin(place, registry, {}),
                      {.policy = policy_for(trusted), .every_platform = every_platform}, {});
}

inline SigningOptions options_for(const image::Location& place) {
  return {.references = simple_references(place, "r.example/team/model:1"),
          .created = test_time,
          .signed_at = test_time};
}

inline SigningReport sign_at(const image::Location& place, registry::Registry& registry,
                             const sign::Signer& signer, const SigningOptions& options) {
  const auto origin = transfer::open_origin(place, registry, {});
  const auto annex = transfer::open_annex(place, registry);
  return annotate(*annex, {.signed_images = images_of(*origin, {})}, {.signer = signer}, options,
                  {});
}

} // namespace aipack::trust::test
