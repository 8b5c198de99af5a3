#pragma once

#include "aipack/build/plan.hpp"
#include "aipack/image/layer.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::build {

inline constexpr std::string_view provenance_build_type = "https://aipack.dev/build/v1";

/// Whether each of a model's files has a digest of its own.
[[nodiscard]] bool is_digested(const PlannedModel& model) noexcept;

/// An SLSA provenance predicate: what was asked for, the lock, every input by digest. Where a model
/// has files without one, it names `layers`, those of the models. The same plan gives the same
/// bytes: no time, no machine, no path of it. `plan` is one with the digests of the user's files
/// (with_digests()). Source: SLSA 1.0, "Provenance".
[[nodiscard]] std::string write_provenance(const Plan& plan,
                                           const std::vector<image::Layer>& layers);

/// What a build is repeated from.
struct Provenance {
  BuildRequest request; ///< without models and files
  /// The user's files. Each entry lies below folders of its own list, up to the target; no link
  /// leads out of it: what is written to disk after it stays where it is written.
  std::vector<PlannedFiles> files;
  std::string lock;         ///< the lock file
  std::string codec;        ///< "zstd 1.5.4": compressed bytes depend on it
  std::string models_codec; ///< the same for the models' layers; empty: they are plain
  /// Diff IDs of the models' layers; empty: each file has a digest of its own.
  std::vector<oci::Digest> model_layers;
};
/// Whether `predicate` says that aipack built it; never throws for what is no such thing.
[[nodiscard]] bool is_own_provenance(std::string_view predicate);
/// Throws FormatError{corrupt}, Error{unsupported} for a build of other tools.
[[nodiscard]] Provenance read_provenance(std::string_view predicate, std::string_view name);

/// A base image that lies on the builder's disk is named in provenance by its kind only, "oci:":
/// where it lay is nobody's business. Whether `base` is one on a disk, with or without its place.
[[nodiscard]] bool is_local_base(std::string_view base) noexcept;
/// Says where the base image is, in the request and in the lock, which read_lock() must have read.
void set_base(Provenance& provenance, const std::string& base);

/// The findings of the models that aipack read, as an in-toto test result: a model without one
/// passed. An error among them was allowed by who built. Source: in-toto attestation framework,
/// spec/predicates/test-result.md, version 0.1.
inline constexpr std::string_view test_result_type =
    "https://in-toto.io/attestation/test-result/v0.1";
[[nodiscard]] std::string write_findings(const Plan& plan);

} // namespace aipack::build
