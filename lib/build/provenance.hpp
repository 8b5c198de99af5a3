#pragma once

#include "aipack/build/plan.hpp"

#include <string>
#include <string_view>

namespace aipack::build {

inline constexpr std::string_view provenance_build_type = "https://aipack.dev/build/v1";

/// An SLSA provenance predicate: what was asked for, the lock, every input by digest. The same plan
/// gives the same bytes: no time, no machine, no path of it. Source: SLSA 1.0, "Provenance".
[[nodiscard]] std::string write_provenance(const Plan& plan);

/// What a build is repeated from.
struct Provenance {
  BuildRequest request; ///< without models; sources of files are empty
  std::string lock;     ///< the lock file
  std::string codec;    ///< "zstd 1.5.4": compressed bytes depend on it
};
/// Throws FormatError{corrupt}, Error{unsupported} for a build of other tools.
[[nodiscard]] Provenance read_provenance(std::string_view predicate, std::string_view name);

/// The findings of the models that aipack read, as an in-toto test result: a model without one
/// passed. An error among them was allowed by who built. Source: in-toto attestation framework,
/// spec/predicates/test-result.md, version 0.1.
inline constexpr std::string_view test_result_type =
    "https://in-toto.io/attestation/test-result/v0.1";
[[nodiscard]] std::string write_findings(const Plan& plan);

} // namespace aipack::build
