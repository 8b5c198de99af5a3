#include "support/registry/api.hpp"

#include <algorithm>
#include <utility>

namespace aipack::test {
namespace {

constexpr std::size_t block_size = std::size_t{256} << 10;

/// "first-last", inclusive, as the specification writes it: no unit, no total.
struct ChunkRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  static std::optional<ChunkRange> parse(std::string_view text) {
    const std::size_t dash = text.find('-');
    if (dash == std::string_view::npos) {
      return std::nullopt;
    }
    const auto first = parse_number(text.substr(0, dash));
    const auto last = parse_number(text.substr(dash + 1));
    if (!first || !last || *last < *first) {
      return std::nullopt;
    }
    return ChunkRange{*first, *last};
  }
};

Reply unknown_upload() {
  return error_reply(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
}

Reply invalid_upload(int status, const std::string& why) {
  return error_reply(status, "BLOB_UPLOAD_INVALID", "blob upload invalid", why);
}

} // namespace

// --- what a session tells its client ---

std::string Api::location_of(const UploadSession& session) const {
  const std::string path = "/v2/" + session.repository + "/blobs/uploads/" + session.id;
  const std::string state = "_state=" + std::to_string(session.state);
  if (dialect_.uploads_at_storage || request_.origin != Origin::registry) {
    std::string target = Addresses::sign(path);
    if (dialect_.state_in_location) {
      target += "&" + state;
    }
    if (request_.origin != Origin::registry) { // the session stays where it is
      return own_base() + target;
    }
    return world_.addresses.expand(
        dialect_.upload_location.empty() ? "{storage}{path}" : dialect_.upload_location, target);
  }
  return (dialect_.absolute_location ? own_base() : "") + path +
         (dialect_.state_in_location ? "?" + state : "");
}

std::string Api::range_of(const UploadSession& session) const {
  std::uint64_t size = session.content ? session.content->size() : 0;
  switch (dialect_.range_report) {
  case RegistryDialect::RangeReport::total:
    break;
  case RegistryDialect::RangeReport::chunk_only:
    size = session.last_patch_size;
    break;
  case RegistryDialect::RangeReport::sticks_after_first:
    size = session.first_patch_end;
    break;
  case RegistryDialect::RangeReport::absent:
    return {};
  }
  // Nothing yet is written like one byte; that is what registries do.
  return "0-" + std::to_string(size == 0 ? 0 : size - 1);
}

Reply Api::session_reply(const UploadSession& session, int status) const {
  Reply reply;
  reply.status = status;
  reply.headers = {{"Location", location_of(session)}, {"Docker-Upload-UUID", session.id}};
  if (const std::string range = range_of(session); !range.empty()) {
    reply.headers.emplace_back("Range", range);
  }
  if (dialect_.min_chunk > 0) {
    reply.headers.emplace_back("OCI-Chunk-Min-Length", std::to_string(dialect_.min_chunk));
  }
  return reply;
}

// --- POST ---

Reply Api::start_upload() {
  if (request_.method != "POST") {
    return method_not_allowed();
  }
  if (!dialect_.creates_repositories && !world_.store.exists(repository_)) {
    return error_reply(404, "NAME_UNKNOWN", "repository name not known to registry", repository_);
  }
  if (auto mounted = mount()) {
    return std::move(*mounted);
  }
  const auto digest = target_.find("digest");
  std::string algorithm = target_.find("digest-algorithm").value_or("sha256");
  if (algorithm != "sha256" && algorithm != "sha512") {
    return error_reply(400, "DIGEST_INVALID", "unsupported digest algorithm", algorithm);
  }
  const bool whole = digest && dialect_.single_post;
  if (whole) {
    if (!is_digest(*digest)) {
      return error_reply(400, "DIGEST_INVALID", "not a digest", *digest);
    }
    algorithm = digest->substr(0, 6);
  }
  const auto session = world_.store.open_upload(repository_, algorithm);
  world_.log.change(entry_, [&](RegistryRequest& entry) { entry.upload = session->id; });
  if (!whole) {
    return session_reply(*session, 202);
  }
  const Store::Lease lease(world_.store, repository_, session->id);
  if (auto failed = append_body(*session)) {
    world_.store.end_upload(*session);
    return std::move(*failed);
  }
  return commit(*session, *digest);
}

std::optional<Reply> Api::mount() {
  const auto digest = target_.find("mount");
  if (!digest || !dialect_.mount) {
    return std::nullopt;
  }
  const auto from = target_.find("from");
  if (!from) {
    using MountWithoutFrom = RegistryDialect::MountWithoutFrom;
    if (dialect_.mount_without_from == MountWithoutFrom::error) {
      return error_reply(400, "NAME_INVALID", "a mount needs the repository to mount from");
    }
    if (dialect_.mount_without_from == MountWithoutFrom::session) {
      return std::nullopt;
    }
  }
  const auto content = from ? world_.store.blob_in(*from, *digest) : world_.store.blob(*digest);
  if (!content) {
    return std::nullopt;
  }
  world_.store.link(repository_, *digest);
  return Reply{.status = 201,
               .headers = {{"Location", own_base() + "/v2/" + repository_ + "/blobs/" + *digest},
                           {"Docker-Content-Digest", *digest}}};
}

// --- the session ---

Reply Api::upload() {
  const std::string& method = request_.method;
  if (method != "GET" && method != "PATCH" && method != "PUT" && method != "DELETE") {
    return method_not_allowed();
  }
  if (method == "GET" && !dialect_.upload_status) {
    return error_reply(400, "UNSUPPORTED", "the status of an upload cannot be asked");
  }
  if (method == "DELETE" && !dialect_.upload_cancel) {
    return method_not_allowed();
  }
  if (const auto digest = target_.find("digest")) {
    world_.log.name_upload(request_.upload, *digest);
  }
  const Store::Lease session(world_.store, repository_, request_.upload);
  if (!session) {
    return unknown_upload();
  }
  if (session->poisoned) {
    return invalid_upload(404, "the session broke off");
  }
  const bool stale =
      dialect_.state_in_location && target_.find("_state") != std::to_string(session->state);
  if (stale && !(method == "GET" && dialect_.status_ignores_state)) {
    return invalid_upload(404, "this is not the newest location of the session");
  }
  if (method == "GET") {
    return session_reply(*session, 204);
  }
  if (method == "DELETE") {
    world_.store.end_upload(*session);
    return {.status = 204};
  }
  return method == "PATCH" ? patch(*session) : close_upload(*session);
}

/// What is wrong with this chunk before a byte of it is read.
std::optional<Reply> Api::check_chunk(UploadSession& session) {
  using Chunks = RegistryDialect::Chunks;
  const auto header = request_.header("Content-Range");
  const bool refused =
      (dialect_.chunks == Chunks::none && header) ||
      (dialect_.chunks == Chunks::one && session.patches > 0 && request_.method == "PATCH");
  const auto out_of_range = [&](int status, const std::string& why) {
    Reply reply = invalid_upload(status, why);
    for (auto& item : session_reply(session, status).headers) {
      reply.headers.push_back(std::move(item));
    }
    return reply;
  };
  if (refused) {
    return invalid_upload(dialect_.chunk_refusal, "chunked uploads are not supported");
  }
  if (session.short_chunk && request_.has_body()) {
    return error_reply(400, "SIZE_INVALID", "an earlier chunk was shorter than the minimum");
  }
  if (!header) {
    return std::nullopt;
  }
  const auto range = ChunkRange::parse(*header);
  if (!range) {
    return invalid_upload(400, "Content-Range is not \"first-last\"");
  }
  const std::uint64_t length = range->last - range->first + 1;
  if (dialect_.checks_offset) {
    if (range->first != session.content->size()) {
      return out_of_range(416, "the chunk does not follow what is there");
    }
    if (connection_.announced().value_or(length) != length) {
      return error_reply(400, "SIZE_INVALID", "Content-Range and Content-Length disagree");
    }
  }
  if (dialect_.max_chunk > 0 && length > dialect_.max_chunk) {
    return out_of_range(dialect_.max_chunk_status, "the chunk is too large");
  }
  return std::nullopt;
}

/// The body as it comes; what a broken connection leaves behind is the dialect's business.
void Api::receive_into(UploadSession& session, std::uint64_t start) {
  const std::optional<Hasher> before = session.hasher;
  const auto broke_off = [&] {
    using PartialChunk = RegistryDialect::PartialChunk;
    if (dialect_.partial_chunk == PartialChunk::poison) {
      session.poisoned = true;
    } else if (dialect_.partial_chunk == PartialChunk::discard) {
      session.content->truncate(start);
      session.hasher = before;
    }
  };
  try {
    if (!session.content->keeps_bytes()) {
      while (const std::size_t got = connection_.skip(std::size_t{4} << 20)) {
        session.content->skip(got);
      }
      return;
    }
    std::string block(block_size, '\0');
    while (const std::size_t got = connection_.read(block)) {
      const std::string_view bytes = std::string_view(block).substr(0, got);
      session.content->append(bytes);
      if (session.hasher) {
        session.hasher->update(bytes);
      }
    }
  } catch (...) {
    broke_off();
    throw;
  }
}

std::optional<Reply> Api::append_body(UploadSession& session) {
  const std::uint64_t start = session.content->size();
  if (dialect_.max_blob > 0 && start + connection_.announced().value_or(0) > dialect_.max_blob) {
    return error_reply(413, "SIZE_INVALID", "the blob is larger than this registry takes");
  }
  receive_into(session, start);
  const std::uint64_t got = session.content->size() - start;
  if (dialect_.max_blob > 0 && session.content->size() > dialect_.max_blob) {
    return error_reply(413, "SIZE_INVALID", "the blob is larger than this registry takes");
  }
  if (const auto header = request_.header("Content-Range"); header && dialect_.checks_offset) {
    const auto range = ChunkRange::parse(*header);
    if (range && range->last - range->first + 1 != got) {
      session.poisoned = true; // chunked coding: the length is known only now
      return error_reply(400, "SIZE_INVALID", "Content-Range and the body disagree");
    }
  }
  return std::nullopt;
}

Reply Api::patch(UploadSession& session) {
  if (auto refused = check_chunk(session)) {
    return std::move(*refused);
  }
  const std::uint64_t start = session.content->size();
  if (auto failed = append_body(session)) {
    return std::move(*failed);
  }
  session.last_patch_size = session.content->size() - start;
  if (session.patches++ == 0) {
    session.first_patch_end = session.content->size();
  }
  session.short_chunk = session.last_patch_size < dialect_.min_chunk;
  ++session.state;
  return session_reply(session, dialect_.patch_status);
}

// --- PUT ---

Reply Api::close_upload(UploadSession& session) {
  const auto digest = target_.find("digest");
  if (!digest || !is_digest(*digest)) {
    return error_reply(400, "DIGEST_INVALID", "the digest is missing or malformed",
                       digest.value_or(""));
  }
  if (!dialect_.put_with_body && request_.has_body() && session.content->size() == 0) {
    return invalid_upload(404, "nothing was uploaded with PATCH");
  }
  if (auto refused = check_chunk(session)) {
    return std::move(*refused);
  }
  if (auto failed = append_body(session)) {
    world_.store.end_upload(session);
    return std::move(*failed);
  }
  return commit(session, *digest);
}

Reply Api::commit(UploadSession& session, const std::string& digest) {
  world_.log.name_upload(session.id, digest);
  const std::string algorithm = digest.substr(0, 6);
  std::string answered = digest;
  if (algorithm == "sha512" && dialect_.sha512 == RegistryDialect::Sha512::refused) {
    world_.store.end_upload(session);
    return error_reply(400, "DIGEST_INVALID", "unsupported digest algorithm", algorithm);
  }
  if (session.hasher) {
    const auto digest_by = [&](const std::string& wanted) {
      return session.hasher->algorithm() == wanted ? session.hasher->digest()
                                                   : session.content->read_all(wanted);
    };
    if (digest_by(algorithm) != digest) {
      if (dialect_.failed_close_ends_session) {
        world_.store.end_upload(session);
      }
      return error_reply(400, "DIGEST_INVALID", "provided digest did not match uploaded content",
                         digest);
    }
    if (algorithm == "sha512" && dialect_.sha512 == RegistryDialect::Sha512::rewritten) {
      answered = digest_by("sha256");
    }
  }
  world_.store.commit(session, answered,
                      answered == digest ? std::vector<std::string>{} : std::vector{digest});
  return {.status = 201,
          .headers = {{"Location", own_base() + "/v2/" + repository_ + "/blobs/" + answered},
                      {"Docker-Content-Digest", answered}}};
}

} // namespace aipack::test
