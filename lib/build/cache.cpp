#include "aipack/build/engine.hpp"

#include <algorithm>
#include <array>
#include <map>

#include <sys/stat.h>

namespace aipack::build {

namespace {

namespace stdfs = std::filesystem;

/// When a file was last read or written, seconds. Relatime keeps atime within a day, which is all
/// that pruning needs.
std::int64_t last_use(const stdfs::path& file) {
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0) {
    return 0;
  }
  return std::max<std::int64_t>(status.st_atim.tv_sec, status.st_mtim.tv_sec);
}

/// The folders of the cache whose content can be had again. `releases` is not among them: it
/// remembers the newest InRelease seen, against replays.
constexpr std::array folders{"answers", "compositions", "indexes", "layers",   "packages",
                             "partial", "solv",         "sources", "unpacked", "verdicts"};

/// Calls `visit(kind, file, size)` for every regular file below one folder of the cache. Locks are
/// not files to be counted: removing one would let two processes hold it.
template <class Visit>
void each_file_of(const stdfs::path& cache_dir, const std::string& kind, Visit&& visit) {
  std::error_code failed;
  for (auto it = stdfs::recursive_directory_iterator(
           cache_dir / kind, stdfs::directory_options::skip_permission_denied, failed);
       !failed && it != stdfs::recursive_directory_iterator(); it.increment(failed)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored) && !it->is_symlink(ignored) &&
        it->path().extension() != ".lock") {
      visit(kind, it->path(), it->file_size(ignored));
    }
  }
}

template <class Visit>
void each_file(const stdfs::path& cache_dir, Visit&& visit) {
  for (const auto* kind : folders) {
    each_file_of(cache_dir, kind, visit);
  }
}

std::vector<CacheUsage> sorted(const std::map<std::string, CacheUsage>& kinds) {
  std::vector<CacheUsage> list;
  for (const auto& [kind, usage] : kinds) {
    list.push_back(usage);
  }
  return list;
}

} // namespace

std::vector<CacheUsage> cache_usage(const stdfs::path& cache_dir) {
  std::map<std::string, CacheUsage> kinds;
  each_file(cache_dir, [&](const std::string& kind, const stdfs::path&, std::uint64_t size) {
    auto& usage = kinds[kind];
    usage.kind = kind;
    ++usage.files;
    usage.bytes += size;
  });
  return sorted(kinds);
}

std::vector<CacheUsage> prune_cache(const stdfs::path& cache_dir, std::int64_t now,
                                    std::int64_t older_than_seconds, const Operation& op) {
  std::map<std::string, CacheUsage> kinds;
  each_file(cache_dir, [&](const std::string& kind, const stdfs::path& file, std::uint64_t size) {
    op.check();
    std::error_code failed;
    if (now - last_use(file) < older_than_seconds || !stdfs::remove(file, failed) || failed) {
      return;
    }
    auto& usage = kinds[kind];
    usage.kind = kind;
    ++usage.files;
    usage.bytes += size;
  });
  return sorted(kinds);
}

} // namespace aipack::build
