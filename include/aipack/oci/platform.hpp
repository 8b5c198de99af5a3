#pragma once

#include "aipack/core/export.hpp"

#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::oci {

/// Operating system and CPU of an image, "linux/amd64" or "linux/arm64/v8". Names are Go's, as the
/// image-spec demands. linux/arm64 is the same platform with and without its only variant: every
/// parser leaves `variant` empty for it, it compares and prints without, and the JSON of indexes
/// and configs carries "v8".
struct AIPACK_API Platform {
  std::string os = "linux";
  std::string architecture;
  std::string variant;

  /// Parses "linux/amd64", "amd64", "x86_64", "aarch64", "linux/arm64/v8". Throws
  /// Error{invalid_input}.
  [[nodiscard]] static Platform parse(std::string_view text);
  /// A comma-separated list, or "all" for the three that aipack composes; sorted amd64, arm64,
  /// riscv64, others after; no duplicates.
  [[nodiscard]] static std::vector<Platform> parse_list(std::string_view text);
  /// The three platforms that aipack composes.
  [[nodiscard]] static std::vector<Platform> all();
  /// The machine this runs on.
  [[nodiscard]] static Platform host();
  [[nodiscard]] std::string to_string() const;

  /// In the fixed order of an index: amd64, arm64, riscv64, then by name. arm64 equals arm64/v8.
  std::strong_ordering operator<=>(const Platform& other) const noexcept;
  bool operator==(const Platform& other) const noexcept;
};

/// What the toolchains call one of aipack's architectures.
struct ArchitectureNames {
  std::string_view oci;     ///< "arm64"
  std::string_view debian;  ///< "arm64"
  std::string_view triplet; ///< Debian multiarch, "aarch64-linux-gnu"
};
/// Throws Error{unsupported} for a platform that aipack does not compose.
[[nodiscard]] AIPACK_API const ArchitectureNames& architecture_names(const Platform& platform);

} // namespace aipack::oci
