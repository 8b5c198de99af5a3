#pragma once

#include "aipack/deb/archive.hpp"

#include "keyring.hpp"
#include "verdict.hpp"

#include <map>
#include <mutex>
#include <vector>

namespace aipack::deb {

struct ReleaseState;

/// True when what was heard of a mirror at `asked` (seconds since the epoch) still counts.
[[nodiscard]] bool is_recent(std::int64_t asked, const ArchiveOptions& options) noexcept;

/// The newest verified release of each source: revalidated with its mirror, and never older than
/// one seen before. Threads: any; calls for one source share one request.
class Releases {
public:
  Releases(http::HttpTransport& transport, const ArchiveOptions& options);
  ~Releases();

  /// One for each source, in their order. Throws as PackageSource::snapshot().
  [[nodiscard]] std::vector<Release> newest(std::span<const Source> sources, const Operation& op);
  /// From here on the mirrors of `sources` are asked, also those that were asked by an earlier
  /// process. False when all of them were asked by this object.
  [[nodiscard]] bool ask_again(std::span<const Source> sources);

private:
  struct Slot;

  std::shared_ptr<Slot> slot_of(const Source& source);
  Release release_of(const Source& source, const Operation& op);
  Release current_release(const Source& source, Slot& slot, const Operation& op);
  [[nodiscard]] std::filesystem::path cache_path(std::string_view folder,
                                                 const Source& source) const;
  [[nodiscard]] std::optional<ReleaseState> read_state(const Source& source) const;
  [[nodiscard]] ReleaseState
  newest_state(const Source& source, const std::optional<ReleaseState>& state, const Operation& op);
  [[nodiscard]] http::Response request_in_release(const Source& source,
                                                  const std::optional<ReleaseState>& state,
                                                  const Operation& op);
  std::shared_ptr<Keyring> keyring();

  http::HttpTransport& transport_;
  const ArchiveOptions& options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::shared_ptr<Keyring> keyring_;
  Verdicts verdicts_;
};

} // namespace aipack::deb
