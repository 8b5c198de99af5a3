#pragma once

#include "aipack/core/error.hpp"
#include "aipack/sign/statement.hpp"
#include "aipack/transfer/attach.hpp"
#include "aipack/trust/images.hpp"
#include "aipack/trust/verification.hpp"

#include "small_debian.hpp"

#include <functional>
#include <string>

namespace aipack::test {

inline const sign::PrivateKey& key() {
  static const auto made = sign::PrivateKey::generate();
  return made;
}

inline sign::Policy policy() {
  return {.keys = {key().public_key()},
          .image = {.media_type = {}, .digest = oci::Digest::of("")},
          .time = std::chrono::sys_seconds(std::chrono::seconds(SmallDebian::signed_at))};
}

inline image::Location layout_at(const SmallDebian& debian, const std::string& name) {
  return image::Location::parse("oci:" + (debian.directory.path() / name).string() + ":1");
}

inline trust::SigningReport build_signed(const build::Engine& engine,
                                         const build::BuildRequest& request,
                                         const image::Location& place) {
  const sign::Signatory signatory{.signer = key()};
  return engine
      .build(engine.plan(request, {}),
             build::Outputs{.destinations = {place},
                            .signing = {.signatory = &signatory, .signed_at = policy().time},
                            .signed_name = "r.example/team/linear:1"},
             {})
      .attached;
}

inline Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::internal, "nothing was thrown"};
}

/// What the key says of how the image was built.
inline std::string provenance_of(const build::Engine& engine, const image::Location& place) {
  const auto origin = transfer::open_origin(place, engine.registries(), {});
  return trust::trusted_statements(*origin, origin->resolve({}), policy(),
                                   sign::predicate_type::slsa_provenance_v1, {})
      .front()
      .predicate;
}

/// Whoever holds the key can say of any image how it was built.
inline void attest(const build::Engine& engine, const image::Location& place,
                   const std::string& predicate) {
  const auto annex = transfer::open_annex(place, engine.registries());
  const auto origin = transfer::open_origin(place, engine.registries(), {});
  trust::annotate(*annex,
                  {.attestations = {{{origin->resolve({})},
                                     std::string(sign::predicate_type::slsa_provenance_v1),
                                     predicate}}},
                  {.signer = key()}, {.signed_at = policy().time}, {});
}

} // namespace aipack::test
