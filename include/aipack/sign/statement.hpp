#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/descriptor.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

inline constexpr std::uint64_t max_statement_bytes = std::uint64_t{32} << 20; ///< SBOMs are large
inline constexpr std::string_view statement_payload_type = "application/vnd.in-toto+json";
inline constexpr std::string_view statement_type_v1 = "https://in-toto.io/Statement/v1";

/// What statements are about. The first is a signature: it says nothing but "mine". All others are
/// attestations; cosign finds them by exactly these names.
namespace predicate_type {
inline constexpr std::string_view signature = "https://sigstore.dev/cosign/sign/v1";
inline constexpr std::string_view slsa_provenance_v1 = "https://slsa.dev/provenance/v1";
inline constexpr std::string_view spdx = "https://spdx.dev/Document";
inline constexpr std::string_view cyclonedx = "https://cyclonedx.org/bom";
inline constexpr std::string_view vulnerabilities =
    "https://cosign.sigstore.dev/attestation/vuln/v1";
inline constexpr std::string_view openvex = "https://openvex.dev/ns";
inline constexpr std::string_view model_signature = "https://model_signing/signature/v1.0";
} // namespace predicate_type

/// What a statement is made about.
struct Subject {
  std::string name{};                         ///< may be empty
  std::map<std::string, std::string> digests; ///< "sha256" to hexadecimal digits
  oci::Annotations annotations{};
  bool operator==(const Subject&) const = default;

  [[nodiscard]] static Subject of(const oci::Digest& digest, oci::Annotations annotations = {}) {
    return {.digests = {{"sha256", digest.hex()}}, .annotations = std::move(annotations)};
  }
};

/// An in-toto statement. Source: in-toto attestation framework, spec/v1/statement.md.
struct Statement {
  std::string type{statement_type_v1};
  std::vector<Subject> subjects;
  std::string predicate_type;
  std::string predicate = "{}"; ///< JSON text of an object
  bool operator==(const Statement&) const = default;
};

/// Compact JSON in the specification's order; the predicate's text goes in as it is, byte for byte:
/// what is signed is what its author wrote. Throws Error{invalid_input} when it is no JSON object.
[[nodiscard]] AIPACK_API std::string write(const Statement& statement);

/// Versions 1 and 0.1 (cosign 2 writes that one). Unknown fields are ignored, as the framework
/// asks; `predicate` is the member's compact JSON, "{}" when absent. Throws FormatError{corrupt}.
[[nodiscard]] AIPACK_API Statement parse_statement(std::string_view json, std::string_view name);

/// "slsaprovenance1", "spdxjson", "cyclonedx"… as cosign's --type names them, or a URI as it is.
/// Throws Error{invalid_input}.
[[nodiscard]] AIPACK_API std::string predicate_type_of(std::string_view name);

} // namespace aipack::sign
