#include "support/registry/store.hpp"

#include "support/registry/content.hpp"
#include "support/registry/text.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace aipack::test {

Store::Store(RegistryStorage storage, std::filesystem::path root)
    : storage_(storage), root_(std::move(root)) {
  if (storage_ != RegistryStorage::directory) {
    return;
  }
  std::filesystem::create_directories(root_ / "blobs");
  std::filesystem::create_directories(root_ / "uploads");
  for (const auto& algorithm : std::filesystem::directory_iterator(root_ / "blobs")) {
    for (const auto& entry : std::filesystem::directory_iterator(algorithm.path())) {
      const std::string digest =
          algorithm.path().filename().string() + ":" + entry.path().filename().string();
      if (is_digest(digest)) {
        blobs_[digest] = file_content(entry.path());
      }
    }
  }
}

Store::~Store() = default;

void Store::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  session_free_.notify_all();
}

std::unique_ptr<ContentWriter> Store::make_writer(const std::string& id) const {
  switch (storage_) {
  case RegistryStorage::memory:
    return memory_writer();
  case RegistryStorage::directory:
    return file_writer(root_ / "uploads" / id, root_ / "blobs");
  case RegistryStorage::sink:
    break;
  }
  return sink_writer();
}

// --- uploads ---

std::shared_ptr<UploadSession> Store::open_upload(const std::string& repository,
                                                  const std::string& algorithm) {
  const std::lock_guard lock(mutex_);
  auto session = std::make_shared<UploadSession>();
  // Not a counter alone: an id should not be found in other text by chance.
  const std::string number = std::to_string(++sessions_opened_);
  session->id = Hasher::of("sha256", "session " + number).substr(7, 24) + "-" + number;
  session->repository = repository;
  session->content = make_writer(session->id);
  if (verifies()) {
    session->hasher.emplace(algorithm);
  }
  sessions_[session->id] = session;
  return session;
}

Store::Lease::Lease(Store& store, const std::string& repository, const std::string& id)
    : store_(store) {
  std::unique_lock lock(store_.mutex_);
  const auto found = store_.sessions_.find(id);
  if (found == store_.sessions_.end() || found->second->repository != repository) {
    return;
  }
  auto session = found->second;
  // An earlier request may still be reading from a connection that is already dead.
  store_.session_free_.wait_for(lock, std::chrono::seconds(10),
                                [&] { return store_.stopping_ || !session->busy; });
  if (session->busy || session->ended) {
    return;
  }
  session->busy = true;
  session_ = std::move(session);
}

Store::Lease::~Lease() {
  if (session_) {
    const std::lock_guard lock(store_.mutex_);
    session_->busy = false;
    store_.session_free_.notify_all();
  }
}

void Store::end_upload(UploadSession& session) {
  const std::lock_guard lock(mutex_);
  session.ended = true;
  session.content.reset();
  sessions_.erase(session.id);
}

std::size_t Store::open_uploads() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

// --- blobs ---

void Store::commit(UploadSession& session, const std::string& digest,
                   const std::vector<std::string>& aliases) {
  const auto content = session.content->finish(digest);
  const std::lock_guard lock(mutex_);
  auto& repository = repositories_[session.repository];
  blobs_[digest] = content;
  repository.blobs.insert(digest);
  for (const auto& alias : aliases) {
    blobs_[alias] = content;
    aliases_[alias] = digest;
    repository.blobs.insert(alias);
  }
  session.ended = true;
  session.content.reset();
  sessions_.erase(session.id);
}

void Store::put_blob(const std::string& repository, std::string_view bytes,
                     const std::string& digest) {
  const auto session = open_upload(repository, "sha256");
  session->content->append(bytes);
  commit(*session, digest);
}

std::shared_ptr<const Content> Store::blob(const std::string& digest) const {
  const std::lock_guard lock(mutex_);
  const auto found = blobs_.find(digest);
  return found == blobs_.end() ? nullptr : found->second;
}

std::shared_ptr<const Content> Store::blob_in(const std::string& repository,
                                              const std::string& digest) const {
  const std::lock_guard lock(mutex_);
  const auto found = repositories_.find(repository);
  if (found == repositories_.end() || !found->second.blobs.contains(digest)) {
    return nullptr;
  }
  const auto content = blobs_.find(digest);
  return content == blobs_.end() ? nullptr : content->second;
}

std::string Store::canonical(const std::string& digest) const {
  const std::lock_guard lock(mutex_);
  const auto found = aliases_.find(digest);
  return found == aliases_.end() ? digest : found->second;
}

void Store::link(const std::string& repository, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  repositories_[repository].blobs.insert(digest);
}

bool Store::unlink(const std::string& repository, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = repositories_.find(repository);
  return found != repositories_.end() && found->second.blobs.erase(digest) > 0;
}

std::vector<std::string> Store::blobs() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& [digest, content] : blobs_) {
    out.push_back(digest);
  }
  return out;
}

// --- manifests ---

void Store::create(const std::string& repository) {
  const std::lock_guard lock(mutex_);
  repositories_[repository];
}

bool Store::exists(const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  return repositories_.contains(repository);
}

void Store::put_manifest(const std::string& repository, StoredManifest manifest) {
  const std::lock_guard lock(mutex_);
  const std::string digest = manifest.digest;
  repositories_[repository].manifests[digest] = std::move(manifest);
}

void Store::tag(const std::string& repository, const std::string& tag, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  auto& tags = repositories_[repository].tags;
  const auto found =
      std::find_if(tags.begin(), tags.end(), [&](const auto& item) { return item.first == tag; });
  if (found == tags.end()) {
    tags.emplace_back(tag, digest);
  } else {
    found->second = digest;
  }
}

std::optional<StoredManifest> Store::manifest(const std::string& repository,
                                              const std::string& reference) const {
  const std::lock_guard lock(mutex_);
  const auto found = repositories_.find(repository);
  if (found == repositories_.end()) {
    return std::nullopt;
  }
  const auto& [blobs, manifests, tags] = found->second;
  std::string digest = reference;
  for (const auto& [tag, target] : tags) {
    if (tag == reference) {
      digest = target;
    }
  }
  const auto manifest = manifests.find(digest);
  return manifest == manifests.end() ? std::nullopt : std::optional(manifest->second);
}

bool Store::erase_manifest(const std::string& repository, const std::string& reference) {
  const std::lock_guard lock(mutex_);
  const auto found = repositories_.find(repository);
  if (found == repositories_.end()) {
    return false;
  }
  const std::size_t tags = std::erase_if(found->second.tags, [&](const auto& item) {
    return item.first == reference || item.second == reference;
  });
  return found->second.manifests.erase(reference) + (is_digest(reference) ? 0 : tags) > 0;
}

std::vector<std::string> Store::tags(const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  if (const auto found = repositories_.find(repository); found != repositories_.end()) {
    for (const auto& [tag, digest] : found->second.tags) {
      out.push_back(tag);
    }
  }
  return out;
}

std::vector<StoredManifest> Store::manifests(const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  std::vector<StoredManifest> out;
  if (const auto found = repositories_.find(repository); found != repositories_.end()) {
    for (const auto& [digest, manifest] : found->second.manifests) {
      out.push_back(manifest);
    }
  }
  return out;
}

std::vector<std::string> Store::repositories() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& [name, repository] : repositories_) {
    out.push_back(name);
  }
  return out;
}

} // namespace aipack::test
