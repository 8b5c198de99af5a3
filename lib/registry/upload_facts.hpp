#pragma once

#include <cstdint>

namespace aipack::registry {

/// Whether a registry can do something: seen to work, seen to fail, or not tried.
enum class Ability { unknown, works, fails };

/// What uploads taught about one endpoint; EndpointMemory keeps it. Unknown is the default of each.
struct UploadFacts {
  Ability single = Ability::unknown; ///< one PUT with the whole body
  Ability stream = Ability::unknown; ///< one PATCH with the whole body, then an empty PUT
  Ability chunks = Ability::unknown; ///< PATCHes with Content-Range
  bool ranges_lie = false;           ///< Range of an answer to PATCH is not what is stored
  std::uint64_t chunk_bytes = 0;     ///< a size that was not refused; 0: not known
  bool operator==(const UploadFacts&) const = default;
};

} // namespace aipack::registry
