#include "repository.hpp"

#include "aipack/core/for_each.hpp"
#include "aipack/core/suggest.hpp"
#include "aipack/core/text.hpp"

#include "blob_source.hpp"
#include "download.hpp"
#include "manifests.hpp"
#include "referrers.hpp"
#include "tag_update.hpp"
#include "tags.hpp"
#include "upload.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {

std::string full_name(const oci::Reference& name, std::string_view tag_or_digest) {
  return fmt::format("{}/{}{}{}", name.registry(), name.repository(),
                     tag_or_digest.find(':') == std::string_view::npos ? ":" : "@", tag_or_digest);
}

bool is_digest(std::string_view tag_or_digest) {
  if (oci::Digest::try_parse(tag_or_digest)) {
    return true;
  }
  // The grammar of tags is that of references.
  if (const auto probe = oci::Reference::try_parse(fmt::format("probe:{}", tag_or_digest));
      probe && probe->tag() == tag_or_digest) {
    return false;
  }
  throw Error(ErrorCode::invalid_input,
              fmt::format("cannot find {}: it is neither a tag nor a sha256 digest",
                          quoted(tag_or_digest)));
}

namespace {

/// One of the uploads that run.
class Running {
public:
  explicit Running(std::atomic<unsigned>& count) noexcept : count_(count), now_(++count) {}
  ~Running() { --count_; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  [[nodiscard]] unsigned now() const noexcept { return now_; } ///< with this one, at its start

private:
  std::atomic<unsigned>& count_;
  const unsigned now_;
};

} // namespace

UploadPlace Repository::Impl::upload_place(RepositoryMemory& memory, unsigned uploads_now) const {
  return {.session = *home->session,
          .memory = memory,
          .journal_dir = state_dir.empty() ? std::filesystem::path{} : state_dir / "uploads",
          .patience = patience,
          // One core sends, a second one reads and hashes: as long as there are so many.
          .reading = 2 * uploads_now <= default_concurrency() ? Reading::ahead : Reading::in_place};
}

Repository::Repository(oci::Reference name, std::shared_ptr<Impl> impl)
    : name_(std::move(name)), impl_(std::move(impl)) {}

std::optional<oci::Descriptor> Repository::find(std::string_view tag_or_digest,
                                                const Operation& op) const {
  const auto& places = is_digest(tag_or_digest) ? impl_->by_digest : impl_->by_tag;
  return first_answer(places, [&](const Place& place) {
    return find_manifest(*place.session, tag_or_digest, full_name(name_, tag_or_digest), op);
  });
}

oci::Descriptor Repository::resolve(std::string_view tag_or_digest, const Operation& op) const {
  if (auto found = find(tag_or_digest, op)) {
    return *std::move(found);
  }
  std::string hint = "check the name";
  if (!is_digest(tag_or_digest)) {
    try {
      const std::vector<std::string> known = tags(op);
      const std::string near = nearest_word(tag_or_digest, known);
      hint = !near.empty()       ? fmt::format("did you mean {}?", quoted(near))
             : known.empty()     ? "the repository has no tags"
             : known.size() == 1 ? fmt::format("its only tag is {}", quoted(known.front()))
                                 : fmt::format("it has {} tags, the last is {}", known.size(),
                                               quoted(known.back()));
    } catch (const Error& error) { // a registry that does not list tags; the answer stays the same
      if (error.code() == ErrorCode::cancelled) {
        throw;
      }
    }
  }
  throw Error(ErrorCode::not_found, fmt::format("cannot find {}: the registry has no such {}",
                                                quoted(full_name(name_, tag_or_digest)),
                                                is_digest(tag_or_digest) ? "manifest" : "tag"))
      .with_hint(std::move(hint));
}

Document Repository::fetch_manifest(std::string_view tag_or_digest, const Operation& op) const {
  const auto& places = is_digest(tag_or_digest) ? impl_->by_digest : impl_->by_tag;
  return *first_answer(places, [&](const Place& place) {
    return std::optional(registry::fetch_manifest(*place.session, tag_or_digest,
                                                  full_name(name_, tag_or_digest), op));
  });
}

Document Repository::fetch_manifest(const oci::Descriptor& descriptor, const Operation& op) const {
  return *first_answer(impl_->by_digest, [&](const Place& place) {
    return std::optional(registry::fetch_manifest(
        *place.session, descriptor, full_name(name_, descriptor.digest.to_string()), op));
  });
}

blob::BlobPtr Repository::blob(const oci::Descriptor& descriptor, const Operation& op) const {
  std::vector<std::shared_ptr<Session>> sessions;
  for (const PlacePtr& place : impl_->by_digest) {
    if (!place->is_down || place == impl_->by_digest.back()) {
      sessions.push_back(place->session);
    }
  }
  return remote_blob(std::move(sessions), impl_->patience, descriptor, op);
}

bool Repository::has_blob(const oci::Descriptor& descriptor, const Operation& op) const {
  return first_answer(impl_->by_digest, [&](const Place& place) {
    return registry::has_blob(*place.session, descriptor, op);
  });
}

DownloadReport Repository::download(const oci::Descriptor& descriptor, blob::DirectoryStore& store,
                                    const Operation& op) const {
  return *first_answer(impl_->by_digest, [&](const Place& place) {
    return std::optional(download_blob(*place.session, impl_->patience, descriptor, store, op));
  });
}

UploadReport Repository::upload(const blob::BlobSource& blob,
                                const std::vector<std::string>& mount_sources,
                                const Operation& op) const {
  std::vector<std::string> sources;
  sources.reserve(mount_sources.size());
  std::ranges::transform(mount_sources, std::back_inserter(sources), impl_->mount_source);
  RepositoryMemory memory(*impl_->home->memory, impl_->home->repository());
  const Running running(*impl_->uploads);
  return upload_blob(impl_->upload_place(memory, running.now()), blob, sources, op);
}

std::shared_ptr<const blob::DerivedBlob> Repository::upload_hashing(std::string_view media_type,
                                                                    const blob::Recipe& recipe,
                                                                    UploadReport& report,
                                                                    const Operation& op) const {
  RepositoryMemory memory(*impl_->home->memory, impl_->home->repository());
  const Running running(*impl_->uploads);
  return upload_recipe(impl_->upload_place(memory, running.now()), media_type, recipe, report, op);
}

SubjectReport Repository::put_manifest(const Document& document, std::string_view tag,
                                       const Operation& op) const {
  return registry::put_manifest(*impl_->home->session, *impl_->home->memory, document, tag, name_,
                                op);
}

Document Repository::update_tag(std::string_view tag, const Merge& merge,
                                const Operation& op) const {
  const std::string name = full_name(name_, tag);
  if (is_digest(tag)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot update {}: what a digest names never changes", quoted(name)));
  }
  const Place& home = *impl_->home;
  const auto key = fmt::format("{}:{}", home.repository(), tag);
  const auto turn = home.memory->tag_turns().take(key, op);
  return registry::update_tag(
      *home.session, tag, name,
      [&](const Document* current) { return Merged{.changed = merge(current)}; },
      [&](const Operation& waiting) { return home.memory->lock_tag(key, waiting); }, op);
}

std::vector<Referrer> Repository::referrers(const oci::Digest& subject,
                                            std::string_view artifact_type,
                                            const Operation& op) const {
  return *first_answer(impl_->by_digest, [&](const Place& place) {
    auto found = list_referrers(*place.session, *place.memory, subject, artifact_type,
                                full_name(name_, subject.to_string()), op);
    // A mirror that knows of none may just not have copied them.
    const bool is_last = place.session == impl_->by_digest.back()->session;
    return !found.empty() || is_last ? std::optional(std::move(found)) : std::nullopt;
  });
}

std::vector<std::string> Repository::tags(const Operation& op) const {
  return list_tags(*impl_->home->session,
                   fmt::format("{}/{}", name_.registry(), name_.repository()), op);
}

void Repository::remove(std::string_view tag_or_digest, const Operation& op) const {
  static_cast<void>(is_digest(tag_or_digest));
  Call call;
  call.verb = "remove " + quoted(full_name(name_, tag_or_digest));
  call.method = "DELETE";
  call.target = api_path(impl_->home->repository(), "manifests", tag_or_digest);
  impl_->home->session->send(call, op);
}

} // namespace aipack::registry
