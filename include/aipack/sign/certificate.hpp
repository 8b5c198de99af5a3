#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/sign/key.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

inline constexpr std::uint64_t max_certificate_bytes = std::uint64_t{64} << 10;
inline constexpr std::uint64_t max_trusted_root_bytes = std::uint64_t{4} << 20;
inline constexpr std::size_t max_chain_length = 16;

/// An X.509 certificate as a value: parsed, not judged. Cheap to copy.
class AIPACK_API Certificate {
public:
  /// Throws FormatError{corrupt} for anything but one whole DER certificate.
  [[nodiscard]] static Certificate parse_der(std::string_view der, std::string_view name);

  [[nodiscard]] const std::string& to_der() const noexcept;
  [[nodiscard]] std::string to_pem() const;
  [[nodiscard]] oci::Digest fingerprint() const; ///< SHA-256 of the DER
  /// Throws what PublicKey::parse_der() throws: the key may be of a kind that is not accepted.
  [[nodiscard]] PublicKey public_key() const;

  [[nodiscard]] std::string subject() const; ///< RFC 2253, "CN=release,O=Example"
  [[nodiscard]] std::string issuer() const;
  [[nodiscard]] std::chrono::sys_seconds valid_from() const noexcept;
  [[nodiscard]] std::chrono::sys_seconds valid_until() const noexcept;
  /// Subject alternative names that say who signs: e-mail addresses, URIs, DNS names.
  [[nodiscard]] std::vector<std::string> identities() const;
  /// Who vouched for the identity: Fulcio's extension 1.3.6.1.4.1.57264.1.8, or the older .1.1;
  /// empty when there is neither. Throws FormatError{corrupt} when the two disagree.
  [[nodiscard]] std::string identity_issuer() const;
  bool operator==(const Certificate& other) const noexcept { return to_der() == other.to_der(); }

  struct Impl; ///< private to the component
  explicit Certificate(std::shared_ptr<const Impl> impl) noexcept : impl_(std::move(impl)) {}
  [[nodiscard]] const Impl& impl() const noexcept { return *impl_; }

private:
  std::shared_ptr<const Impl> impl_;
};

/// Leaf first, each issued by the next; the root may be left out.
using CertificateChain = std::vector<Certificate>;

/// All certificates of a PEM text, in its order. Throws FormatError{corrupt} when there is none.
[[nodiscard]] AIPACK_API std::vector<Certificate> parse_certificates(std::string_view pem,
                                                                     std::string_view name);
[[nodiscard]] AIPACK_API std::vector<Certificate>
read_certificates(const std::filesystem::path& path);

/// When something is to be trusted; an empty end is "until further notice".
struct ValidFor {
  std::optional<std::chrono::sys_seconds> start{};
  std::optional<std::chrono::sys_seconds> end{}; ///< the last second
  [[nodiscard]] bool contains(std::chrono::sys_seconds time) const noexcept {
    return (!start || *start <= time) && (!end || time <= *end);
  }
};

/// A certificate authority, or a time-stamping one.
struct Authority {
  CertificateChain chain; ///< not empty; the last one is the anchor
  ValidFor valid_for{};
};

/// Whom to trust, beyond single keys. Source: sigstore protobuf-specs, sigstore_trustroot.proto,
/// TrustedRoot 0.1 and 0.2. Keys of transparency logs are read over: aipack does not ask them.
struct AIPACK_API TrustedRoot {
  std::vector<Authority> certificate_authorities{};
  std::vector<Authority> timestamp_authorities{};
  [[nodiscard]] static TrustedRoot parse(std::string_view json, std::string_view name);
};

/// An authority of each self-signed certificate of a PEM text, with the others as intermediates.
/// Throws Error{invalid_input} when none is self-signed.
[[nodiscard]] AIPACK_API std::vector<Authority> parse_authorities(std::string_view pem,
                                                                  std::string_view name);

/// Throws Error{corrupt} that says why `chain`'s leaf is no code-signing certificate of one of the
/// authorities at that time: signatures up to an anchor, validity, basic constraints, key usage
/// digitalSignature, extended key usage codeSigning, no SHA-1, no weak key.
AIPACK_API void check_signing_certificate(const CertificateChain& chain,
                                          const std::vector<Authority>& authorities,
                                          std::chrono::sys_seconds time);

/// Who a certificate must have been issued to. Both texts are exact, or ECMAScript regular
/// expressions that must match as a whole.
struct AIPACK_API Identity {
  std::string name;     ///< one of Certificate::identities()
  std::string issuer{}; ///< Certificate::identity_issuer(); empty: any
  bool is_pattern = false;
  /// The name that matched; empty: none. Throws Error{invalid_input} for a bad pattern.
  [[nodiscard]] std::optional<std::string> match(const Certificate& certificate) const;
};

} // namespace aipack::sign
