#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/core/error.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/io/temp_file.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace aipack::deb {

class PartialFile;

/// Content of a known digest, and where it may be had.
struct Wanted {
  std::vector<std::string> urls; ///< best first; the first whose bytes are right is taken
  oci::Digest digest;
  std::uint64_t size_bytes = 0;
  std::string label; ///< for people
};

/// Files by digest in the cache directory: downloads that continue by range, are tried again and
/// verified before they get their final name. Threads: any; of several calls for the same content,
/// in this process or others, one brings it.
class FileCache {
public:
  FileCache(http::HttpTransport& transport, const ArchiveOptions& options);

  /// One at a time may work on what a turn is named after: threads wait for each other by a mutex,
  /// which wakes them at once, processes by a file in `partial/`.
  class Turn {
  public:
    Turn(FileCache& cache, const std::string& name, const Operation& op);

  private:
    std::shared_ptr<std::mutex> mutex_;
    std::unique_lock<std::mutex> between_threads_;
    io::FileLock between_processes_;
  };

  /// Brings the content to `target`, unless it is there: what stands there is hashed first.
  void fetch(const Wanted& wanted, const std::filesystem::path& target, const Operation& op);

  /// Whether `file` is there and has these bytes. A state of it that was hashed before is not
  /// hashed again, since an index is large and read on every run.
  [[nodiscard]] bool holds(const std::filesystem::path& file, const oci::Digest& digest,
                           std::uint64_t size_bytes, const Operation& op);
  /// Keeps what holds() found for the next run.
  void remember() const noexcept { hashed_.save(); }
  /// Whether a file has the size that it must have.
  [[nodiscard]] static bool is_complete(const std::filesystem::path& file,
                                        std::uint64_t size_bytes);
  [[nodiscard]] std::filesystem::path partial(const std::string& name) const;

private:
  std::shared_ptr<std::mutex> mutex_of(const std::string& name);
  void download_from_any(const Wanted& wanted, PartialFile& partial, const Operation& op);
  void download_verified(const std::string& url, const Wanted& wanted, PartialFile& partial,
                         const Operation& op);

  http::HttpTransport& transport_;
  const ArchiveOptions& options_;
  blob::DigestCache hashed_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<std::mutex>> turns_;
};

/// Whether another place may still have what this one did not give: it is not there, or refused.
/// Some mirrors (object stores) answer 403 for what they do not have.
[[nodiscard]] bool is_absence(ErrorCode code) noexcept;
/// Of failures at several places the one to report: a lie before a refusal, a refusal before an
/// absence, and of equals the first.
void keep_graver(std::optional<Error>& failure, const Error& next);

void remove_quietly(const std::filesystem::path& file) noexcept;

} // namespace aipack::deb
