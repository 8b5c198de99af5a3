#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/image/location.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/oci/platform.hpp"
#include "aipack/transfer/place.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace aipack::transfer {

/// Limits for what an origin, which may be hostile, makes us hold: of one copy.
inline constexpr std::size_t max_manifests = 10'000;
inline constexpr std::uint64_t max_document_bytes = std::uint64_t{64} << 20; ///< of all manifests
inline constexpr unsigned max_index_depth = 4;                               ///< indexes in indexes
inline constexpr unsigned max_attachment_depth = 4; ///< signatures of signatures

struct CopyOptions {
  /// Empty: all. Otherwise the target gets an index of these only, whose digest is another; a
  /// docker archive takes one, the host's when nothing is said.
  std::vector<oci::Platform> platforms{};
  bool referrers = true;    ///< signatures, attestations, SBOMs and what refers to them in turn
  unsigned concurrency = 6; ///< blobs at once, 1..64
  TargetOptions target{};   ///< used by the copy between locations
  /// Called when all but the name is at the target, the root by its digest included: what is
  /// written beside it, what must be checked first. What it throws leaves the name as it was. Of an
  /// archive nothing is there yet: it is written as a whole.
  std::function<void(const Operation&)> before_name{};
};

/// How many blobs, and their bytes.
struct Tally {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Tally&) const = default;
};

struct CopyReport {
  std::string reference;            ///< the target's name
  oci::Descriptor root;             ///< what the target's name stands for now
  bool unchanged = false;           ///< it stood for that before
  Tally present{};                  ///< blobs that were there, or part of a manifest that was
  Tally mounted{};                  ///< from another repository of the registry
  Tally sent{};                     ///< transferred, in whole
  Tally resumed{};                  ///< transferred, the rest of an interrupted transfer
  std::uint64_t sent_bytes = 0;     ///< of blobs, as they went over: repeated bytes included
  std::uint64_t resent_bytes = 0;   ///< of those, bytes that had gone over before
  std::uint64_t manifests = 0;      ///< written: images and indexes
  std::uint64_t referrers = 0;      ///< written: what is attached to them
  std::uint64_t requests = 0;       ///< to registries; only counted by the copy between locations
  std::vector<std::string> notes{}; ///< what was left out or began again, and why
};

/// Brings an image with all that belongs to it from one place to another. Whatever is named is
/// there already: blobs (each once, the largest first, `concurrency` at a time), manifests,
/// indexes, what is attached to them, and the target's name last. A failure leaves the name as it
/// was. A target whose name stands for the same digest is asked for nothing but what is attached.
/// Manifests travel as exact bytes, also those of other tools; layers that may not be distributed
/// stay where their manifest's URLs point.
///
/// Throws Error{unsupported} for content that cannot be followed, FormatError{corrupt} for hostile
/// manifests, Error{not_found} for a missing platform (with those that exist), and what the two
/// places throw.
AIPACK_API CopyReport copy(Origin& origin, Target& target, const CopyOptions& options,
                           const Operation& op);

/// The same between two locations of any kind. Within one registry blobs are mounted, between two
/// they stream without touching the disk. Nothing is left behind of a layout that did not exist.
AIPACK_API CopyReport copy(const image::Location& from, const image::Location& to,
                           registry::Registry& registry, const CopyOptions& options,
                           const Operation& op);
/// Into any location from an origin: what a build wrote to memory.
AIPACK_API CopyReport copy(Origin& origin, const image::Location& to, registry::Registry& registry,
                           const CopyOptions& options, const Operation& op);

/// One platform's image as `docker load` takes it, `platform` or the host's or the only one. `tag`
/// is a full reference "NAME:TAG", or empty. Appears whole or not at all.
AIPACK_API CopyReport write_docker_archive(Origin& origin, const std::filesystem::path& file,
                                           const std::string& tag,
                                           const std::optional<oci::Platform>& platform,
                                           const Operation& op);

} // namespace aipack::transfer
