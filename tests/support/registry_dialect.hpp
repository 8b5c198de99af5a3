#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::test {

/// How a registry departs from the distribution specification 1.1, or which of its options it
/// takes. The defaults are a registry that has everything. Presets follow what was measured of, or
/// reported about, the registry that they are named after.
struct RegistryDialect {
  std::string name = "full";

  // --- uploads ---
  bool absolute_location = true;     ///< Location is a whole URL
  bool state_in_location = false;    ///< Location carries _state; only the newest one is good
  bool status_ignores_state = false; ///< a status GET works with a stale _state too
  bool single_post = true;   ///< POST ?digest= with the body stores the blob; else 202 as without
  bool put_with_body = true; ///< one PUT with the whole body; else 404 to it, PATCH is needed
  bool upload_status = true; ///< GET of the session; else 400
  bool upload_cancel = true; ///< DELETE of the session; else 405
  int patch_status = 202;

  bool mount = true; ///< POST ?mount=&from=; else 202 and a session
  enum class MountWithoutFrom { mount, session, error };
  MountWithoutFrom mount_without_from = MountWithoutFrom::mount;
  bool mount_needs_source_scope = true; ///< 401 if the token lacks pull on the source; else 202

  enum class Chunks {
    any,
    none, ///< Content-Range on a PATCH is refused with `chunk_refusal`
    one,  ///< the second PATCH of a session is
  };
  Chunks chunks = Chunks::any;
  int chunk_refusal = 416;
  bool checks_offset = true; ///< a gap or an overlap is 416; else it is appended with 202
  std::uint64_t min_chunk =
      0; ///< announced; a shorter chunk that is not the last fails the next step
  std::uint64_t max_chunk =
      0; ///< 0: none. More in a PATCH with Content-Range is `max_chunk_status`
  int max_chunk_status = 416;
  std::uint64_t max_blob = 0; ///< 0: none. More is 413

  enum class PartialChunk {
    keep,    ///< what arrived before the connection was lost counts
    discard, ///< the session is as before the chunk
    poison,  ///< the session is of no more use: 404
  };
  PartialChunk partial_chunk = PartialChunk::keep;

  enum class RangeReport { total, chunk_only, sticks_after_first, absent };
  RangeReport range_report = RangeReport::total;

  bool failed_close_ends_session = true; ///< a wrong digest at the close; else it stays
  bool uploads_at_storage = false;       ///< Location leads to signed URLs of the storage origin

  // --- blobs ---
  bool blob_ranges = true; ///< else 200 and the whole blob to a Range request
  bool head_blob = true;   ///< else 405
  /// Blob GETs are answered with this status and a signed URL of the storage origin; 0: they are
  /// answered with the blob.
  int blob_redirect = 0;
  bool redirect_blob_head = false; ///< HEADs too
  /// Instead of the storage origin: a template with {registry} {token} {storage} {foreign} for
  /// "scheme://host:port", {registry_port} … for the port alone, and {path} for the signed target.
  std::string blob_location{};
  std::string upload_location{};   ///< the same for upload sessions (with `uploads_at_storage`)
  std::string manifest_location{}; ///< the same for manifest GETs; empty: no redirect
  bool storage_refuses_authorization = true; ///< 400 as object stores do; recorded in any case
  bool short_416 = false; ///< the 416 to a Range announces the blob's length and closes early
  bool deletes = true;    ///< DELETE of blobs, manifests and tags; else 405

  enum class Sha512 {
    supported,
    refused,
    rewritten /**< stored, answered with the sha256 digest */
  };
  Sha512 sha512 = Sha512::supported;

  // --- manifests ---
  bool needs_accept = false;     ///< 404 if Accept does not list the manifest's media type
  bool digest_header = true;     ///< Docker-Content-Digest
  bool etag = true;              ///< ETag and If-None-Match
  bool tag_params = true;        ///< PUT by digest with ?tag=a&tag=b
  bool verifies_blobs = true;    ///< listed blobs must exist, with the listed size
  bool verifies_sizes = true;    ///< and sizes in descriptors be right
  bool verifies_children = true; ///< listed manifests must exist
  int missing_child_status = 400;
  std::uint64_t max_manifest = std::uint64_t{4} << 20;
  int max_manifest_status = 413;
  bool immutable_tags = false;          ///< a tag that exists cannot be moved: 400 TAG_INVALID
  int tag_delete_status = 0;            ///< not 0: a tag cannot be deleted, 400 or 405
  bool names_unknown_repository = true; ///< NAME_UNKNOWN, else BLOB_UNKNOWN or MANIFEST_UNKNOWN
  int absent_tag_status = 404;          ///< also 403
  /// Config media types that are taken; empty: all.
  std::vector<std::string> config_types{};

  // --- discovery ---
  bool referrers = true; ///< else 404, and no OCI-Subject
  int no_referrers_status = 404;
  bool referrers_filter = true;     ///< ?artifactType= works and is announced
  std::uint64_t referrers_page = 0; ///< 0: all in one
  bool tags_sorted = true;
  bool tags_paging = true;      ///< n and last; else all tags whatever was asked
  std::uint64_t tags_page = 0;  ///< the registry's own limit of a page; 0: none
  std::uint64_t max_tags_n = 0; ///< 0: none. More is an error

  // --- general ---
  bool creates_repositories =
      true;                     ///< else 404 NAME_UNKNOWN to a push into one that was not seeded
  bool base_endpoint = true;    ///< GET /v2/; else 404
  bool announces_length = true; ///< Content-Length of GET replies; else chunked
  bool keep_alive = true;
  enum class Expect { obey, ignore, reject /**< 417 */ };
  Expect expect = Expect::obey;
  std::vector<std::string> warnings{}; ///< Warning header lines of every reply

  static RegistryDialect full();
  static RegistryDialect distribution_2_8();
  static RegistryDialect distribution_3();
  static RegistryDialect crane();
  static RegistryDialect zot();
  static RegistryDialect ecr();
  static RegistryDialect google();
  static RegistryDialect ghcr();
  static RegistryDialect quay();
  static RegistryDialect artifactory();
  static RegistryDialect no_single_post();
  static RegistryDialect no_referrers();
  static RegistryDialect cannot_resume();
  static RegistryDialect redirecting(); ///< blobs and uploads at the storage origin

  /// A preset by its name.
  static std::optional<RegistryDialect> find(std::string_view name);
  static std::vector<std::string> names();
};

} // namespace aipack::test
