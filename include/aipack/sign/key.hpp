#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/sign/secret.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

inline constexpr std::uint64_t max_key_file_bytes = std::uint64_t{64} << 10;
inline constexpr unsigned min_rsa_bits = 2048;
inline constexpr unsigned max_rsa_bits = 8192; ///< more is only a way to make verifiers slow

/// The kinds of key that the formats of the field know.
enum class KeyType { ecdsa_p256, ecdsa_p384, ecdsa_p521, rsa, ed25519 };

/// How a message becomes a signature. ECDSA signatures are ASN.1 DER; RSA-PSS salts are as long as
/// the digest; Ed25519ph is RFC 8032's prehashed form without a context.
enum class Scheme {
  ecdsa_sha256,
  ecdsa_sha384,
  ecdsa_sha512,
  rsa_pkcs1_sha256,
  rsa_pkcs1_sha512,
  rsa_pss_sha256,
  rsa_pss_sha384,
  rsa_pss_sha512,
  ed25519,
  ed25519ph,
};

/// "ecdsa-sha256", "rsa-pkcs1-sha256", "ed25519".
[[nodiscard]] AIPACK_API std::string_view to_string(Scheme scheme) noexcept;
/// "ecdsa-p256", "rsa", "ed25519".
[[nodiscard]] AIPACK_API std::string_view to_string(KeyType type) noexcept;

/// What every generation of cosign verifies without a flag: SHA-256 for all but Ed25519, PKCS#1
/// v1.5 for RSA, pure Ed25519.
[[nodiscard]] AIPACK_API Scheme default_scheme(KeyType type) noexcept;
/// What signatures of the cosign family by such a key may be: the default first, then the hash that
/// matches the curve (what cosign 3 writes).
[[nodiscard]] AIPACK_API std::span<const Scheme> accepted_schemes(KeyType type) noexcept;

/// A public key: one of the five kinds, on its named curve, with a modulus of at least 2048 bits.
/// Cheap to copy. Threads: any number may verify side by side.
class AIPACK_API PublicKey {
public:
  /// PEM with "PUBLIC KEY" (SPKI) or "RSA PUBLIC KEY" (PKCS#1); `name` is what errors call it.
  /// Throws FormatError{corrupt} for what is no key, Error{unsupported} for kinds, curves and sizes
  /// that are not accepted.
  [[nodiscard]] static PublicKey parse(std::string_view pem, std::string_view name);
  /// DER SubjectPublicKeyInfo, RFC 5280, section 4.1.
  [[nodiscard]] static PublicKey parse_der(std::string_view der, std::string_view name);
  [[nodiscard]] static PublicKey read(const std::filesystem::path& path);

  [[nodiscard]] KeyType type() const noexcept;
  [[nodiscard]] unsigned bits() const noexcept; ///< of the curve or the modulus
  [[nodiscard]] std::string to_pem() const;     ///< SPKI, with its final newline
  [[nodiscard]] const std::string& to_der() const noexcept;
  /// SHA-256 of the DER SPKI: the key's name in verdicts.
  [[nodiscard]] oci::Digest fingerprint() const;
  /// What cosign calls the key in a bundle: base64 of that hash.
  [[nodiscard]] std::string cosign_hint() const;
  /// What OpenSSF model signatures call it: hexadecimal SHA-256 of the PEM text.
  [[nodiscard]] std::string model_signing_hint() const;

  /// Never throws for what a signature holds: a malformed one does not verify.
  [[nodiscard]] bool verify(std::string_view message, std::string_view signature,
                            Scheme scheme) const;
  /// The first of `schemes` under which the signature verifies.
  [[nodiscard]] std::optional<Scheme> verify_any(std::string_view message,
                                                 std::string_view signature,
                                                 std::span<const Scheme> schemes) const;
  bool operator==(const PublicKey& other) const noexcept { return to_der() == other.to_der(); }

  struct Impl; ///< private to the component
  explicit PublicKey(std::shared_ptr<const Impl> impl) noexcept : impl_(std::move(impl)) {}
  [[nodiscard]] const Impl& impl() const noexcept { return *impl_; }

private:
  std::shared_ptr<const Impl> impl_;
};

/// Something that signs: a private key in memory or in a token. Threads: `sign` may be called side
/// by side.
struct AIPACK_API Signer {
  virtual ~Signer() = default;
  [[nodiscard]] virtual PublicKey public_key() const = 0;
  /// Throws Error{invalid_input} for a scheme that is not one of the key's kind.
  [[nodiscard]] virtual std::string sign(std::string_view message, Scheme scheme) const = 0;
};

/// What a new key is: "p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519".
struct AIPACK_API KeySpec {
  KeyType type = KeyType::ecdsa_p256;
  unsigned rsa_bits = 3072; ///< 2048, 3072 or 4096; of no meaning for other kinds
  /// Throws Error{invalid_input} that lists the names.
  [[nodiscard]] static KeySpec parse(std::string_view name);
};

/// How a private key is written.
enum class KeyFormat {
  cosign,          ///< "ENCRYPTED SIGSTORE PRIVATE KEY": scrypt and XSalsa20-Poly1305
  pkcs8_encrypted, ///< "ENCRYPTED PRIVATE KEY": RFC 8018 PBES2, PBKDF2-HMAC-SHA-256, AES-256-CBC
  pkcs8,           ///< "PRIVATE KEY", in the clear
};

/// A private key in memory; OpenSSL wipes it when the last copy goes.
class AIPACK_API PrivateKey final : public Signer {
public:
  [[nodiscard]] static PrivateKey generate(const KeySpec& spec = {});
  /// Every form that KeyFormat names, "ENCRYPTED COSIGN PRIVATE KEY", PKCS#1 and SEC1. `password`
  /// is called for the encrypted ones only. Throws FormatError{corrupt}, Error{unsupported},
  /// Error{unauthenticated} when the password is wrong (or the file damaged: the cipher cannot
  /// tell) or none can be asked for.
  [[nodiscard]] static PrivateKey parse(std::string_view pem, std::string_view name,
                                        const PasswordSource& password = {});
  /// The same of a file. Throws Error{denied} when group or others can read it.
  [[nodiscard]] static PrivateKey read(const std::filesystem::path& path,
                                       const PasswordSource& password = {});

  [[nodiscard]] PublicKey public_key() const override { return public_key_; }
  [[nodiscard]] std::string sign(std::string_view message, Scheme scheme) const override;
  /// PEM text; `password` is of no meaning for KeyFormat::pkcs8.
  [[nodiscard]] Secret to_pem(KeyFormat format, const Secret& password = {}) const;

  struct Impl; ///< private to the component
  explicit PrivateKey(std::shared_ptr<const Impl> impl);

private:
  std::shared_ptr<const Impl> impl_;
  PublicKey public_key_;
};

/// Writes `pem` to a new file with mode 0600. Throws Error{already_exists}.
AIPACK_API void write_private_key(const std::filesystem::path& path, const Secret& pem);

/// Where PKCS#11 keys come from; both fields may be empty when the system's OpenSSL configuration
/// says it.
struct TokenOptions {
  /// The token's PKCS#11 library for the engine, also "?module-path=" of the URI; the provider
  /// has it in its own configuration.
  std::string module{};
  std::string provider{}; ///< OpenSSL provider, "pkcs11" unless given; the engine of that name next
};
/// True for "pkcs11:…" (RFC 7512).
[[nodiscard]] AIPACK_API bool is_token_uri(std::string_view text) noexcept;
/// A key that never leaves its token. `pin` is called unless the URI has a "pin-value". Throws
/// Error{unsupported} when neither provider nor engine is installed, Error{not_found},
/// Error{unauthenticated}.
[[nodiscard]] AIPACK_API std::unique_ptr<Signer> open_token_key(std::string_view uri,
                                                                const TokenOptions& options = {},
                                                                const PasswordSource& pin = {});

} // namespace aipack::sign
