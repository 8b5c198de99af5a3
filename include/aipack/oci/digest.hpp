#pragma once

#include "aipack/core/export.hpp"

#include <array>
#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace aipack::oci {

/// A content digest, "sha256:<64 lower-case hex digits>". Source: OCI image-spec 1.1,
/// descriptor.md, "Digests"; only the registered algorithm sha256 is accepted, because every byte
/// that aipack names is hashed with it.
class AIPACK_API Digest {
public:
  using Bytes = std::array<std::byte, 32>;

  [[nodiscard]] static Digest parse(std::string_view text); ///< throws Error{invalid_input}
  [[nodiscard]] static std::optional<Digest> try_parse(std::string_view text) noexcept;
  [[nodiscard]] static Digest from_bytes(const Bytes& bytes) noexcept;
  /// From bare hex, as Debian's indexes and `sha256sum` write it.
  [[nodiscard]] static std::optional<Digest> try_from_hex(std::string_view hex) noexcept;
  /// SHA-256 of a whole buffer; streams use codec::Sha256.
  [[nodiscard]] static Digest of(std::span<const std::byte> bytes);
  [[nodiscard]] static Digest of(std::string_view text);

  [[nodiscard]] std::string to_string() const; ///< "sha256:…"
  [[nodiscard]] std::string hex() const;       ///< 64 digits
  [[nodiscard]] std::string short_hex() const { return hex().substr(0, 12); }
  [[nodiscard]] const Bytes& bytes() const noexcept { return bytes_; }

  auto operator<=>(const Digest&) const = default;

private:
  explicit Digest(const Bytes& bytes) noexcept : bytes_(bytes) {}
  Bytes bytes_;
};

} // namespace aipack::oci

template <>
struct std::hash<aipack::oci::Digest> {
  std::size_t operator()(const aipack::oci::Digest& digest) const noexcept;
};
