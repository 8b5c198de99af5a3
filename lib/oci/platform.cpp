#include "aipack/oci/platform.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include <sys/utsname.h>

namespace aipack::oci {
namespace {

/// What other tools call an architecture, and Go's name for it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> aliases{{
    {"x86_64", "amd64"},
    {"x86-64", "amd64"},
    {"aarch64", "arm64"},
    {"i386", "386"},
    {"i686", "386"},
    {"ppc64el", "ppc64le"},
    {"mips64el", "mips64le"},
    {"loongarch64", "loong64"},
}};

/// Go's names: the ones that may stand alone, without "linux/".
constexpr std::array<std::string_view, 10> known{
    "amd64", "arm64", "riscv64", "386", "arm", "ppc64le", "s390x", "mips64le", "loong64", "ppc64"};

constexpr std::array<ArchitectureNames, 3> composed{{
    {"amd64", "amd64", "x86_64-linux-gnu"},
    {"arm64", "arm64", "aarch64-linux-gnu"},
    {"riscv64", "riscv64", "riscv64-linux-gnu"},
}};

constexpr std::size_t max_platform_bytes = 128;

std::string_view canonical_architecture(std::string_view name) noexcept {
  const auto* alias =
      std::find_if(aliases.begin(), aliases.end(), [&](const auto& a) { return a.first == name; });
  return alias != aliases.end() ? alias->second : name;
}

bool is_known(std::string_view architecture) noexcept {
  return std::find(known.begin(), known.end(), architecture) != known.end();
}

/// 64-bit Arm has exactly one variant, so naming it says nothing.
std::string_view canonical_variant(const Platform& platform) noexcept {
  return platform.architecture == "arm64" && platform.variant == "v8"
             ? std::string_view{}
             : std::string_view{platform.variant};
}

std::size_t rank(const Platform& platform) noexcept {
  if (platform.os != "linux") {
    return composed.size();
  }
  const auto* names = std::find_if(composed.begin(), composed.end(), [&](const auto& entry) {
    return entry.oci == platform.architecture;
  });
  return static_cast<std::size_t>(names - composed.begin());
}

bool is_name(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

[[noreturn]] void refuse(std::string_view text, std::string_view cause) {
  throw Error(ErrorCode::invalid_input,
              "cannot parse platform " + quoted(text) + ": " + std::string(cause))
      .with_hint("write it as 'linux/amd64', 'linux/arm64' or 'linux/riscv64'");
}

} // namespace

Platform Platform::parse(std::string_view text) {
  if (text.size() > max_platform_bytes) {
    refuse(text, "it is too long");
  }
  const std::vector<std::string_view> parts = split(text, '/');
  if (!std::all_of(parts.begin(), parts.end(), is_name)) {
    refuse(text, "its parts must be lower-case names between slashes");
  }
  // "arm64/v8" names no operating system; "linux/arm64" does.
  const bool has_os = parts.size() > 1 && !is_known(canonical_architecture(parts[0]));
  const std::size_t at = has_os ? 1 : 0;
  if (parts.size() > at + 2) {
    refuse(text, "it has too many parts");
  }
  Platform platform;
  if (has_os) {
    platform.os = parts[0];
  }
  platform.architecture = canonical_architecture(parts[at]);
  if (!has_os && !is_known(platform.architecture)) {
    refuse(text, "no such architecture");
  }
  if (parts.size() > at + 1) {
    platform.variant = parts[at + 1];
    platform.variant = std::string(canonical_variant(platform));
  }
  return platform;
}

std::vector<Platform> Platform::parse_list(std::string_view text) {
  std::vector<Platform> platforms;
  for (const std::string_view item : split(text, ',')) {
    const std::string_view name = trim(item);
    if (name == "all") {
      const std::vector<Platform> every = all();
      platforms.insert(platforms.end(), every.begin(), every.end());
    } else {
      platforms.push_back(parse(name));
    }
  }
  std::sort(platforms.begin(), platforms.end());
  platforms.erase(std::unique(platforms.begin(), platforms.end()), platforms.end());
  return platforms;
}

std::vector<Platform> Platform::all() {
  std::vector<Platform> platforms;
  for (const ArchitectureNames& names : composed) {
    platforms.push_back({.architecture = std::string(names.oci), .variant = {}});
  }
  return platforms;
}

Platform Platform::host() {
  utsname machine{};
  if (::uname(&machine) != 0) {
    throw_errno("ask the kernel for its machine type", errno);
  }
  return {.architecture = std::string(canonical_architecture(machine.machine)), .variant = {}};
}

std::string Platform::to_string() const {
  std::string text = os + "/" + architecture;
  if (const std::string_view shown = canonical_variant(*this); !shown.empty()) {
    text += '/';
    text += shown;
  }
  return text;
}

std::strong_ordering Platform::operator<=>(const Platform& other) const noexcept {
  return std::tuple(rank(*this), std::string_view(os), std::string_view(architecture),
                    canonical_variant(*this)) <=>
         std::tuple(rank(other), std::string_view(other.os), std::string_view(other.architecture),
                    canonical_variant(other));
}

bool Platform::operator==(const Platform& other) const noexcept {
  return (*this <=> other) == std::strong_ordering::equal;
}

const ArchitectureNames& architecture_names(const Platform& platform) {
  const std::size_t at = rank(platform);
  if (at == composed.size() || !canonical_variant(platform).empty()) {
    throw Error(ErrorCode::unsupported,
                "cannot compose an image for " + quoted(platform.to_string()) +
                    ": aipack composes linux/amd64, linux/arm64 and linux/riscv64");
  }
  return composed[at];
}

} // namespace aipack::oci
