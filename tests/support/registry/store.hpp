#pragma once

#include "support/registry/hasher.hpp"
#include "support/registry_server.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// What the test registry keeps: blobs, upload sessions, manifests and tags.
namespace aipack::test {

/// The bytes of a finished blob; can be read by many at once.
class Content {
public:
  virtual ~Content() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// False for a sink's blobs: they have a size and nothing else.
  [[nodiscard]] virtual bool readable() const { return true; }
  /// Fills `into` from `offset` as far as there is content; gives the number of bytes.
  virtual std::size_t read(std::uint64_t offset, std::span<char> into) const = 0;
  /// A file that holds exactly this content, or -1.
  [[nodiscard]] virtual int file() const { return -1; }
};

/// Content in the making.
class ContentWriter {
public:
  virtual ~ContentWriter() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Whether append() looks at the bytes at all.
  [[nodiscard]] virtual bool keeps_bytes() const { return true; }
  virtual void append(std::string_view bytes) = 0;
  virtual void skip(std::uint64_t count); ///< for writers that do not keep bytes
  virtual void truncate(std::uint64_t size) = 0;
  [[nodiscard]] virtual std::string read_all(const std::string& algorithm) = 0; ///< digest again
  /// The writer is of no use afterwards.
  virtual std::shared_ptr<const Content> finish(const std::string& digest) = 0;
};

struct UploadSession {
  std::string id;
  std::string repository;
  std::unique_ptr<ContentWriter> content;
  std::optional<Hasher> hasher; ///< absent: nothing is verified
  std::uint64_t state = 0;      ///< number of the newest Location
  std::uint64_t patches = 0;
  std::uint64_t first_patch_end = 0;
  std::uint64_t last_patch_size = 0;
  bool poisoned = false;
  bool short_chunk = false; ///< the newest chunk was shorter than the minimum
  bool ended = false;       ///< closed or cancelled
  bool busy = false;        ///< guarded by the store
};

class Store {
public:
  Store(RegistryStorage storage, std::filesystem::path root);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] bool verifies() const noexcept { return storage_ != RegistryStorage::sink; }
  /// Nobody waits for a session any longer.
  void stop();

  // --- uploads ---
  std::shared_ptr<UploadSession> open_upload(const std::string& repository,
                                             const std::string& algorithm);
  /// Exclusive use of a session: two requests for one session take turns.
  class Lease {
  public:
    Lease(Store& store, const std::string& repository, const std::string& id);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    explicit operator bool() const noexcept { return session_ != nullptr; }
    UploadSession* operator->() const noexcept { return session_.get(); }
    UploadSession& operator*() const noexcept { return *session_; }

  private:
    Store& store_;
    std::shared_ptr<UploadSession> session_;
  };
  void end_upload(UploadSession& session);
  [[nodiscard]] std::size_t open_uploads() const;

  // --- blobs ---
  /// The session's content becomes a blob of its repository; `aliases` name it too.
  void commit(UploadSession& session, const std::string& digest,
              const std::vector<std::string>& aliases = {});
  void put_blob(const std::string& repository, std::string_view bytes, const std::string& digest);
  [[nodiscard]] std::shared_ptr<const Content> blob(const std::string& digest) const;
  [[nodiscard]] std::shared_ptr<const Content> blob_in(const std::string& repository,
                                                       const std::string& digest) const;
  /// The digest that an alias stands for.
  [[nodiscard]] std::string canonical(const std::string& digest) const;
  /// The repository gets a blob that another one has.
  void link(const std::string& repository, const std::string& digest);
  bool unlink(const std::string& repository, const std::string& digest);
  [[nodiscard]] std::vector<std::string> blobs() const;

  // --- manifests ---
  void create(const std::string& repository);
  [[nodiscard]] bool exists(const std::string& repository) const;
  void put_manifest(const std::string& repository, StoredManifest manifest);
  void tag(const std::string& repository, const std::string& tag, const std::string& digest);
  [[nodiscard]] std::optional<StoredManifest> manifest(const std::string& repository,
                                                       const std::string& reference) const;
  /// By digest with all its tags, or a tag alone.
  bool erase_manifest(const std::string& repository, const std::string& reference);
  /// In order of their first appearance.
  [[nodiscard]] std::vector<std::string> tags(const std::string& repository) const;
  [[nodiscard]] std::vector<StoredManifest> manifests(const std::string& repository) const;
  [[nodiscard]] std::vector<std::string> repositories() const;

private:
  struct Repository {
    std::set<std::string> blobs;
    std::map<std::string, StoredManifest> manifests;
    std::vector<std::pair<std::string, std::string>> tags;
  };
  [[nodiscard]] std::unique_ptr<ContentWriter> make_writer(const std::string& id) const;

  const RegistryStorage storage_;
  const std::filesystem::path root_;
  mutable std::mutex mutex_;
  std::condition_variable session_free_;
  bool stopping_ = false;
  std::uint64_t sessions_opened_ = 0;
  std::map<std::string, std::shared_ptr<UploadSession>> sessions_;
  std::map<std::string, std::shared_ptr<const Content>> blobs_;
  std::map<std::string, std::string> aliases_;
  std::map<std::string, Repository> repositories_;
};

} // namespace aipack::test
