#pragma once

#include "aipack/core/export.hpp"
#include "aipack/sign/key.hpp"
#include "aipack/sign/statement.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

inline constexpr std::uint64_t max_envelope_bytes = max_statement_bytes / 3 * 4 + (64 << 10);
inline constexpr std::size_t max_envelope_signatures = 16;

/// A DSSE envelope: typed bytes and who signed them. Source: secure-systems-lab/dsse, protocol.md
/// and envelope.md, version 1.
struct Envelope {
  struct Signature {
    std::string key_id{};
    std::string signature; ///< raw bytes
    bool operator==(const Signature&) const = default;
  };
  std::string payload_type{statement_payload_type};
  std::string payload; ///< decoded
  std::vector<Signature> signatures;
  bool operator==(const Envelope&) const = default;
};

/// What is signed: "DSSEv1 LENGTH TYPE LENGTH PAYLOAD".
[[nodiscard]] AIPACK_API std::string pre_authentication_encoding(std::string_view payload_type,
                                                                 std::string_view payload);
/// An envelope with one signature by the key's default scheme.
[[nodiscard]] AIPACK_API Envelope sign_envelope(std::string payload, const Signer& signer);
[[nodiscard]] AIPACK_API Envelope sign_envelope(std::string payload, const Signer& signer,
                                                Scheme scheme);

[[nodiscard]] AIPACK_API std::string write(const Envelope& envelope);
/// Throws FormatError{corrupt}: wrong types, bad base64, no signature, unknown fields.
[[nodiscard]] AIPACK_API Envelope parse_envelope(std::string_view json, std::string_view name);

} // namespace aipack::sign
