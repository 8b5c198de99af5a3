#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/oci/platform.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace aipack::oci {

using Annotations = std::map<std::string, std::string>;

/// "That content": media type, digest and exact size in bytes. Source: OCI image-spec 1.1,
/// descriptor.md.
struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size_bytes = 0;
  std::optional<Platform> platform{};
  Annotations annotations{};
  std::string artifact_type{};
  bool operator==(const Descriptor&) const = default;
};

} // namespace aipack::oci
