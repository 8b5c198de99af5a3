#pragma once

#include "aipack/sign/signing.hpp"

#include "json.hpp"

#include <string>
#include <string_view>

namespace aipack::sign {

inline constexpr std::string_view signature_annotation = "dev.cosignproject.cosign/signature";
inline constexpr std::string_view certificate_annotation = "dev.sigstore.cosign/certificate";
inline constexpr std::string_view chain_annotation = "dev.sigstore.cosign/chain";
inline constexpr std::string_view timestamp_annotation = "dev.sigstore.cosign/rfc3161timestamp";

/// Throws Error{invalid_input} when the leaf is a certificate of another key.
void check_signatory(const Signatory& signatory);
/// A checked response to a request over `signature`; empty when nobody is to be asked.
[[nodiscard]] std::string timestamp_of(const Signatory& signatory, std::string_view signature);
/// The same as the bare token that the Notary Project keeps.
[[nodiscard]] std::string timestamp_token_of(const Signatory& signatory,
                                             std::string_view signature);
/// Signs a statement by a scheme of the caller's choice; the key's hint too is the format's.
[[nodiscard]] std::string make_bundle(std::string statement, const Signatory& signatory,
                                      Scheme scheme, std::string hint);

} // namespace aipack::sign
