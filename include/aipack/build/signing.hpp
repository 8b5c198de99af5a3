#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/verify.hpp"
#include "aipack/trust/signing.hpp"

#include <chrono>
#include <set>

namespace aipack::build {

/// What a build writes beside its image. With a signatory: SBOMs (SPDX, CycloneDX with the models
/// as ML-BOM), SLSA provenance and the models' findings as attestations, an OpenSSF signature of
/// each model where the key's kind allows one, and signatures of the index and of each platform's
/// image. With `sboms`: the SBOMs as they are, too. Weights are read once: a model with a file
/// beyond max_digested_bytes is named by the digest of its layer, and gets a signature of its own
/// only with `large_models`.
struct Signing {
  const sign::Signatory* signatory = nullptr; ///< outlives the build
  bool sboms = false;
  bool large_models = false; ///< their files are read once more, for digests of their own
  std::set<sign::Format> formats{sign::Format::bundle, sign::Format::simple_signing};
  oci::Annotations annotations{};       ///< that signatures carry
  std::chrono::sys_seconds signed_at{}; ///< notation's signing time, certificates' validity

  [[nodiscard]] bool writes_anything() const noexcept { return signatory != nullptr || sboms; }
};

} // namespace aipack::build
