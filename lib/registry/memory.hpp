#pragma once

#include "aipack/io/temp_file.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/registry/registry.hpp"

#include "joint_work.hpp"
#include "turns.hpp"
#include "upload.hpp"
#include "upload_facts.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::registry {

/// What was learnt about one endpoint, for the next process and for all sessions of this one:
/// nothing that must be true, only what to try first. Kept as JSON in one small file per endpoint,
/// replaced atomically; a broken file is an empty memory. Facts grow old, because registries are
/// upgraded and their proxies reconfigured. Threads and processes: safe, savers merge.
class EndpointMemory {
public:
  using Clock = std::function<std::int64_t()>; ///< seconds since the epoch

  static constexpr std::size_t max_blobs = 4096;                  ///< the oldest are forgotten
  static constexpr std::size_t max_repositories = 3;              ///< of one blob
  static constexpr std::int64_t upload_facts_age = 7 * 24 * 3600; ///< seconds
  static constexpr std::int64_t referrers_age = 24 * 3600;

  /// `file` empty: nothing is kept. `origin` "https://r.example" stands in the file: one of another
  /// origin is not taken.
  EndpointMemory(std::filesystem::path file, std::string origin, Clock clock = {});
  ~EndpointMemory(); ///< saves
  EndpointMemory(const EndpointMemory&) = delete;
  EndpointMemory& operator=(const EndpointMemory&) = delete;

  /// The place of an endpoint's file in a state directory.
  [[nodiscard]] static std::filesystem::path file_in(const std::filesystem::path& state_dir,
                                                     std::string_view origin);

  /// Whether the endpoint has the referrers API; empty: not known.
  [[nodiscard]] std::optional<bool> has_referrers_api() const;
  void set_has_referrers_api(bool value);

  [[nodiscard]] UploadFacts upload_facts() const;
  void set_upload_facts(const UploadFacts& facts);

  /// The newest first, without `but`.
  [[nodiscard]] std::vector<std::string> repositories_with(const oci::Digest& digest,
                                                           std::string_view but) const;
  void saw_blob(const oci::Digest& digest, const std::string& repository);
  void missed_blob(const oci::Digest& digest, const std::string& repository);

  /// Failing to write is not an error.
  void save() noexcept;

  /// Whose turn it is to update a tag that others write too, "REPOSITORY:TAG"; not kept.
  [[nodiscard]] Turns& tag_turns() noexcept { return tag_turns_; }
  /// The same among the processes that share the state directory, from reading to writing. Null
  /// where there is none, or nothing can be written to it.
  [[nodiscard]] std::unique_ptr<io::FileLock> lock_tag(const std::string& name,
                                                       const Operation& op) const;
  /// Those who add to an index of referrers, by the same names; not kept.
  [[nodiscard]] JointWork<Referrer>& index_updates() noexcept { return index_updates_; }

private:
  template <class Value>
  struct Fact {
    Value value;
    std::int64_t learnt_at = 0;
  };
  struct Blob {
    std::vector<std::string> repositories; ///< newest first
    std::uint64_t order = 0;               ///< larger: newer
  };
  struct Data {
    std::optional<Fact<bool>> has_referrers_api{};
    std::optional<Fact<UploadFacts>> upload{};
    std::map<oci::Digest, Blob> blobs{};
    std::uint64_t next_order = 0;

    void saw(const oci::Digest& digest, const std::string& repository);
    void missed(const oci::Digest& digest, const std::string& repository);
    void forget_oldest();
  };
  /// What happened since the last save, to be done again on what another process saved meanwhile.
  struct Sighting {
    oci::Digest digest;
    std::string repository;
    bool there;
  };

  [[nodiscard]] Data load() const noexcept;
  [[nodiscard]] static Data parse(std::string_view text, std::string_view origin);
  [[nodiscard]] static std::string to_text(const Data& data, std::string_view origin);
  template <class Value>
  [[nodiscard]] bool is_fresh(const std::optional<Fact<Value>>& fact, std::int64_t age) const;

  const std::filesystem::path file_;
  const std::string origin_;
  const Clock clock_;
  mutable std::mutex mutex_;
  Data data_;
  std::vector<Sighting> sightings_;
  bool changed_ = false;
  Turns tag_turns_;
  JointWork<Referrer> index_updates_;
};

/// The memory of an endpoint as one repository sees it.
class RepositoryMemory final : public UploadMemory {
public:
  RepositoryMemory(EndpointMemory& memory, std::string repository)
      : memory_(memory), repository_(std::move(repository)) {}
  [[nodiscard]] UploadFacts upload_facts() const override { return memory_.upload_facts(); }
  void remember(const UploadFacts& facts) override { memory_.set_upload_facts(facts); }
  [[nodiscard]] std::vector<std::string>
  repositories_with(const oci::Digest& digest) const override {
    return memory_.repositories_with(digest, repository_);
  }
  void saw_blob(const oci::Digest& digest) override { memory_.saw_blob(digest, repository_); }
  void missed_blob(const std::string& repository, const oci::Digest& digest) override {
    memory_.missed_blob(digest, repository);
  }

private:
  EndpointMemory& memory_;
  std::string repository_;
};

} // namespace aipack::registry
