#include "file_cache.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/text.hpp"

#include "partial_file.hpp"
#include "source.hpp"

#include <fmt/format.h>

namespace aipack::deb {
namespace {

/// True when the cached file is what its name says: it was verified when it came, but a disk or a
/// person may have changed it since, and what is unpacked must be what was signed.
bool is_intact(const std::filesystem::path& file, const Wanted& wanted, const Operation& op) {
  if (!FileCache::is_complete(file, wanted.size_bytes)) {
    return false;
  }
  io::FileSource source(file);
  return codec::sha256(source, op) == wanted.digest;
}

int gravity(ErrorCode code) noexcept {
  return code == ErrorCode::not_found ? 0 : is_absence(code) ? 1 : 2;
}

} // namespace

bool is_absence(ErrorCode code) noexcept {
  return code == ErrorCode::not_found || code == ErrorCode::denied ||
         code == ErrorCode::unauthenticated;
}

void keep_graver(std::optional<Error>& failure, const Error& next) {
  if (!failure || gravity(next.code()) > gravity(failure->code())) {
    failure = next;
  }
}

void remove_quietly(const std::filesystem::path& file) noexcept {
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
}

FileCache::FileCache(http::HttpTransport& transport, const ArchiveOptions& options)
    : transport_(transport), options_(options), hashed_(options.cache_dir / "hashed") {}

std::filesystem::path FileCache::partial(const std::string& name) const {
  return options_.cache_dir / "partial" / name;
}

bool FileCache::is_complete(const std::filesystem::path& file, std::uint64_t size_bytes) {
  std::error_code error;
  return std::filesystem::file_size(file, error) == size_bytes && !error;
}

bool FileCache::holds(const std::filesystem::path& file, const oci::Digest& digest,
                      std::uint64_t size_bytes, const Operation& op) {
  return is_complete(file, size_bytes) && blob::file_digest(file, hashed_, op) == digest;
}

std::shared_ptr<std::mutex> FileCache::mutex_of(const std::string& name) {
  const std::lock_guard lock(mutex_);
  auto& turn = turns_[name];
  if (!turn) {
    turn = std::make_shared<std::mutex>();
  }
  return turn;
}

FileCache::Turn::Turn(FileCache& cache, const std::string& name, const Operation& op)
    : mutex_(cache.mutex_of(name)), between_threads_(*mutex_),
      between_processes_(cache.partial(name + ".lock"), op, io::FileLock::Afterwards::remove) {}

void FileCache::fetch(const Wanted& wanted, const std::filesystem::path& target,
                      const Operation& op) {
  if (is_intact(target, wanted, op)) {
    return;
  }
  if (options_.offline) {
    throw missing_offline("fetch " + aipack::quoted(wanted.label));
  }
  const Turn turn(*this, wanted.digest.hex(), op);
  if (is_intact(target, wanted, op)) {
    return; // Somebody else was faster.
  }
  remove_quietly(target); // What stands there is damaged.
  Activity activity(op, fmt::format("fetch {}", wanted.label), wanted.size_bytes);
  PartialFile file(partial(wanted.digest.hex()), wanted.size_bytes, activity, op);
  download_from_any(wanted, file, op);
  file.commit(target);
}

/// Into `partial`, from the first URL that has the content.
void FileCache::download_from_any(const Wanted& wanted, PartialFile& partial, const Operation& op) {
  std::optional<Error> failure;
  for (const std::string& url : wanted.urls) {
    try {
      return download_verified(url, wanted, partial, op);
    } catch (const Error& error) {
      if (!is_absence(error.code()) && error.code() != ErrorCode::corrupt) {
        throw;
      }
      keep_graver(failure, error);
    }
  }
  throw *failure;
}

void FileCache::download_verified(const std::string& url, const Wanted& wanted,
                                  PartialFile& partial, const Operation& op) {
  const std::uint64_t size_bytes = wanted.size_bytes;
  for (bool continued = partial.size() > 0;; continued = false) {
    if (partial.size() < size_bytes || size_bytes == 0) {
      try {
        http::download(
            transport_, url, partial, [&] { partial.reset(); }, size_bytes, op, options_.retry,
            partial.size());
      } catch (const Error& error) {
        if (error.code() == ErrorCode::corrupt) {
          partial.reset(); // Longer than announced: of no use to anybody.
        }
        throw;
      }
    }
    if (partial.size() == size_bytes && partial.digest() == wanted.digest) {
      return;
    }
    const std::string cause =
        partial.size() == size_bytes
            ? fmt::format("it has digest {}, {} was announced", partial.digest().to_string(),
                          wanted.digest.to_string())
            : fmt::format("it has {} bytes, {} were announced", partial.size(), size_bytes);
    partial.reset();
    if (!continued) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot fetch {} from {}: {}", aipack::quoted(wanted.label),
                              aipack::quoted(redacted_url(url)), cause))
          .with_hint("the mirror serves another file than the signed release names, maybe in the "
                     "middle of an update: try later, or another mirror; "
                     "--skip-incomplete-suites goes on without it");
    }
    // What an earlier call left may have been of another file: once more, from the start.
  }
}

} // namespace aipack::deb
