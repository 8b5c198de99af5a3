#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/oci/media_type.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::oci {

/// Limits for documents that others wrote.
inline constexpr std::uint64_t max_manifest_bytes =
    std::uint64_t{4} << 20; ///< distribution-spec 1.1 asks clients to accept 4 MiB
inline constexpr std::uint64_t max_config_bytes = std::uint64_t{8} << 20;
inline constexpr std::size_t max_json_depth = 64;

/// Image manifest. Source: OCI image-spec 1.1, manifest.md. Docker schema 2 manifests parse into it
/// as well.
struct Manifest {
  std::string media_type{media_type::manifest};
  std::string artifact_type{};
  Descriptor config;
  std::vector<Descriptor> layers{};
  std::optional<Descriptor> subject{};
  Annotations annotations{};
  bool operator==(const Manifest&) const = default;
};

/// Image index. Source: OCI image-spec 1.1, image-index.md. Docker manifest lists parse into it as
/// well.
struct Index {
  std::string media_type{media_type::index};
  std::string artifact_type{};
  std::vector<Descriptor> manifests{};
  std::optional<Descriptor> subject{};
  Annotations annotations{};
  bool operator==(const Index&) const = default;
};

struct HistoryEntry {
  std::string created;    ///< RFC 3339, UTC
  std::string created_by; ///< what made the layer
  std::string comment;
  bool empty_layer = false;
  bool operator==(const HistoryEntry&) const = default;
};

/// Image configuration. Source: OCI image-spec 1.1, config.md.
struct Config {
  std::string created; ///< RFC 3339 in UTC, whole seconds
  Platform platform;
  std::string user;                       ///< numeric, "65532:65532"
  std::vector<std::string> exposed_ports; ///< "8080/tcp"
  std::vector<std::string> env;           ///< "NAME=value", in declared order
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string working_directory;
  std::string stop_signal;
  std::map<std::string, std::string> labels;
  std::vector<Digest> diff_ids;
  std::vector<HistoryEntry> history;
  bool operator==(const Config&) const = default;
};

/// A parsed document together with its exact bytes and digest: what was fetched or made is never
/// serialised a second time.
template <class T>
class Sealed {
public:
  Sealed(T value, std::string bytes, Descriptor descriptor)
      : value_(std::move(value)), bytes_(std::move(bytes)), descriptor_(std::move(descriptor)) {}
  [[nodiscard]] const T& value() const noexcept { return value_; }
  [[nodiscard]] const T* operator->() const noexcept { return &value_; }
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
  [[nodiscard]] const Descriptor& descriptor() const noexcept { return descriptor_; }

private:
  T value_;
  std::string bytes_;
  Descriptor descriptor_;
};

/// Canonical JSON: fixed key order, sorted maps, no white space, UTF-8 unescaped, no trailing
/// newline; sizes above 2^63-1 are refused. The bytes are a pure function of the value.
[[nodiscard]] AIPACK_API Sealed<Manifest> seal(Manifest manifest);
[[nodiscard]] AIPACK_API Sealed<Index> seal(Index index);
[[nodiscard]] AIPACK_API Sealed<Config> seal(Config config);

/// Parse what others wrote: size- and depth-limited, unknown fields ignored, wrong types, negative
/// sizes, duplicate keys and bad digests refused with FormatError{corrupt}; `name` is what the
/// error calls the document.
[[nodiscard]] AIPACK_API Sealed<Manifest> parse_manifest(std::string bytes, std::string_view name);
[[nodiscard]] AIPACK_API Sealed<Index> parse_index(std::string bytes, std::string_view name);
[[nodiscard]] AIPACK_API Sealed<Config> parse_config(std::string bytes, std::string_view name);

/// True for the OCI index and the Docker manifest list.
[[nodiscard]] AIPACK_API bool is_index(std::string_view media_type) noexcept;
/// True for the OCI manifest and Docker's schema 2 manifest.
[[nodiscard]] AIPACK_API bool is_manifest(std::string_view media_type) noexcept;

/// Seconds since the epoch as "2026-09-12T07:55:41Z", whatever the locale and time zone.
[[nodiscard]] AIPACK_API std::string rfc3339(std::int64_t seconds);
/// RFC 3339, section 5.6: "2026-11-21T12:00:00Z", fractions cut off, offsets applied.
[[nodiscard]] AIPACK_API std::optional<std::chrono::sys_seconds>
try_rfc3339(std::string_view text) noexcept;

} // namespace aipack::oci
