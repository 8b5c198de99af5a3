#pragma once

#include "aipack/registry/settings.hpp"

#include "upload_facts.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

/// The decisions of an upload, as functions of what is known: no request is made here. Sources:
/// distribution-spec 1.1, "Pushing blobs"; deviations are those of registries in the field.
namespace aipack::registry {

/// How the bytes of a blob go up.
enum class Way {
  single, ///< one PUT with the whole body, which needs the digest first
  stream, ///< one PATCH with the whole body, then an empty PUT
  chunks, ///< PATCHes with Content-Range, then an empty PUT
};
[[nodiscard]] std::string_view to_string(Way way) noexcept;
[[nodiscard]] std::optional<Way> parse_way(std::string_view text) noexcept;

/// Smaller blobs go up in one PUT, and are hashed before where their digest is not known: an
/// interrupted one costs less than the bookkeeping.
inline constexpr std::uint64_t whole_below_bytes = std::uint64_t{1} << 20;
/// Sent again at most when a transfer breaks, and a round trip each: 32 MiB are a quarter of a
/// second at 1 Gbit/s.
inline constexpr std::uint64_t default_chunk_bytes = std::uint64_t{32} << 20;
/// A registry that refuses the range of a chunk may have a limit of this size: one is known for it.
inline constexpr std::uint64_t common_chunk_limit = std::uint64_t{4} << 20;
/// No registry needs smaller chunks; one that refuses them refuses chunks.
inline constexpr std::uint64_t least_chunk_bytes = std::uint64_t{512} << 10;
/// What a registry may ask for, or settings: a limit for what one break can cost.
inline constexpr std::uint64_t max_chunk_bytes = std::uint64_t{4} << 30;

/// What the choice of a way depends on.
struct WayQuestion {
  UploadMode mode = UploadMode::automatic; ///< what settings ask for
  UploadFacts facts{};
  std::uint64_t size_bytes = 0;
  std::uint64_t chunk_bytes = default_chunk_bytes;
  bool digest_known = true;
  /// OCI-Chunk-Min-Length came: the registry wants chunks.
  bool chunks_announced = false;
};
/// Empty: none is left. `single` without a known digest: it has to be computed first.
[[nodiscard]] std::optional<Way> choose_way(const WayQuestion& question);

/// Whether the way is known to fail, and the note that it does.
[[nodiscard]] bool is_refused(const UploadFacts& facts, Way way) noexcept;
void set_ability(UploadFacts& facts, Way way, Ability ability) noexcept;

/// The size of chunks to begin with: what settings or experience say, not below the registry's
/// minimum.
[[nodiscard]] std::uint64_t first_chunk_bytes(std::uint64_t setting, std::uint64_t remembered,
                                              std::uint64_t minimum) noexcept;
/// After a refusal with 413 or 416; empty: smaller ones make no sense.
[[nodiscard]] std::optional<std::uint64_t>
smaller_chunk(std::uint64_t chunk_bytes, std::uint64_t minimum, int status) noexcept;

/// `Range: 0-LAST`, also with a unit in front, as how many bytes are there; empty when it cannot be
/// read.
[[nodiscard]] std::optional<std::uint64_t> parse_stored(std::string_view range) noexcept;

/// Where an upload stands.
struct Position {
  std::uint64_t offset = 0; ///< so many bytes are taken as stored
  bool doubtful = false;    ///< the registry says something else, or nothing that fits
  bool operator==(const Position&) const = default;
};
/// After a 2xx to a PATCH that ended at `end`: the own counter, whatever Range says. Some
/// registries count the last chunk only, or repeat the first range for ever; but then the blob has
/// to be looked at once it is closed.
[[nodiscard]] Position after_piece(std::optional<std::uint64_t> reported,
                                   std::uint64_t end) noexcept;
/// After a 2xx to a status request. `confirmed` bytes were acknowledged before, none from
/// `piece_end` on can have been sent. Empty: the answer cannot be about this upload.
[[nodiscard]] std::optional<Position> after_status(std::optional<std::uint64_t> reported,
                                                   std::uint64_t confirmed, std::uint64_t piece_end,
                                                   bool ranges_lie) noexcept;

/// A request of an upload that did not go well.
struct Refusal {
  Way way = Way::single;
  bool closing = false;       ///< PUT, with or without a body; else PATCH
  bool fresh = true;          ///< the session was opened just now, and nothing broke since
  int status = 0;             ///< 0: no answer came
  bool digest_fault = false;  ///< DIGEST_INVALID or SIZE_INVALID
  bool session_fault = false; ///< BLOB_UPLOAD_INVALID or BLOB_UPLOAD_UNKNOWN
};
enum class Remedy {
  ask,         ///< the registry where the upload stands, then go on
  look,        ///< for the blob, which may be there; else ask
  smaller,     ///< chunks, or the first chunks
  other_way,   ///< this one does not work here
  restart,     ///< the session is gone
  wrong_bytes, ///< what arrived is not what was sent
  give_up,
};
[[nodiscard]] Remedy remedy_for(const Refusal& refusal) noexcept;

} // namespace aipack::registry
