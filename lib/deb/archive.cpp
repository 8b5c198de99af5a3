#include "aipack/deb/archive.hpp"

#include "aipack/codec/compression.hpp"
#include "aipack/core/checked.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/fs/root_path.hpp"
#include "aipack/io/temp_file.hpp"

#include "keyring.hpp"
#include "partial_file.hpp"
#include "release.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <mutex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

// What the cache directory holds. Names are digests, so that nothing is ever replaced by something
// else; a file has its final name only once its content was verified.
//
//   releases/<key>          the last verified InRelease of a source and what is known about it (see
//   ReleaseState) indexes/<sha256>        uncompressed Packages and Sources indexes
//   packages/<sha256>.deb   binary packages
//   sources/<sha256>-<name> files of source packages
//   partial/<sha256>        downloads that are not complete; partial/<sha256>.lock while somebody
//   works on one

namespace aipack::deb {
namespace {

/// A snapshot of the next platform within this time sees the same releases without asking again:
/// one build, one state of the archive.
constexpr std::chrono::seconds release_reuse{60};

std::string display(const Source& source) {
  return fmt::format("{} of {}", aipack::quoted(source.suite),
                     aipack::quoted(redacted_url(source.mirror)));
}

/// "/path" is a mirror on disk.
std::string mirror_url(const std::string& mirror) {
  return mirror.substr(0, 1) == "/" ? http::file_url(mirror) : mirror;
}

std::string url_below(const Source& source, std::string_view path) {
  return fmt::format("{}/{}", mirror_url(source.mirror), path);
}

std::string_view directory_of(std::string_view path) noexcept {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash + 1);
}

// --- the last verified InRelease
// ------------------------------------------------------------------------------------------------

/// One file, so that its parts cannot come apart: a line of JSON, then the InRelease file byte by
/// byte.
struct ReleaseState {
  std::string in_release;
  std::string etag{};
  std::string last_modified{};
  std::int64_t date = 0; ///< of the release: an older one is a replay
  std::string keyring{}; ///< digest of the keyring that it was verified with
  std::vector<std::string> signed_by{};
  std::int64_t good_until = 0;
  std::uint64_t text_offset =
      0; ///< the signed text within in_release, when it stands there as it is
  std::uint64_t text_bytes = 0;
  bool operator==(const ReleaseState&) const = default;

  [[nodiscard]] std::string to_string() const {
    const nlohmann::json head{{"version", 1},
                              {"digest", oci::Digest::of(in_release).to_string()},
                              {"etag", etag},
                              {"last_modified", last_modified},
                              {"date", date},
                              {"keyring", keyring},
                              {"signed_by", signed_by},
                              {"good_until", good_until},
                              {"text_offset", text_offset},
                              {"text_bytes", text_bytes}};
    return head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n" + in_release;
  }

  /// Empty for a file that is broken in any way: then it is as if there were none.
  static std::optional<ReleaseState> parse(std::string_view text) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      return std::nullopt;
    }
    try {
      const auto head = nlohmann::json::parse(text.substr(0, end));
      ReleaseState state{.in_release = std::string(text.substr(end + 1)),
                         .etag = head.at("etag").get<std::string>(),
                         .last_modified = head.at("last_modified").get<std::string>(),
                         .date = head.at("date").get<std::int64_t>(),
                         .keyring = head.at("keyring").get<std::string>(),
                         .signed_by = head.at("signed_by").get<std::vector<std::string>>(),
                         .good_until = head.at("good_until").get<std::int64_t>(),
                         .text_offset = head.at("text_offset").get<std::uint64_t>(),
                         .text_bytes = head.at("text_bytes").get<std::uint64_t>()};
      const auto text_end = try_add(state.text_offset, state.text_bytes);
      if (head.at("version") != 1 ||
          head.at("digest") != oci::Digest::of(state.in_release).to_string() || !text_end ||
          *text_end > state.in_release.size()) {
        return std::nullopt;
      }
      return state;
    } catch (const nlohmann::json::exception&) {
      return std::nullopt;
    }
  }
};

// --- the package source
// ---------------------------------------------------------------------------------------------------------

class Archive final : public PackageSource {
public:
  Archive(http::HttpTransport& transport, ArchiveOptions options)
      : transport_(transport), options_(std::move(options)) {
    if (options_.cache_dir.empty()) {
      throw Error(ErrorCode::invalid_input,
                  "cannot use package archives: no cache directory is set");
    }
    for (const char* name : {"releases", "indexes", "packages", "sources", "partial"}) {
      std::error_code error;
      std::filesystem::create_directories(options_.cache_dir / name, error);
      if (error) {
        throw_errno(fmt::format("create {}", aipack::quoted((options_.cache_dir / name).string())),
                    error.value());
      }
    }
  }

  PackageIndex snapshot(std::span<const Source> sources, const oci::Platform& platform,
                        const Operation& op) override {
    const std::string architecture(oci::architecture_names(platform).debian);
    PackageIndex result{.platform = platform, .releases = releases_of(sources, op), .indexes = {}};
    for (std::size_t i = 0; i < sources.size(); ++i) {
      for (const std::string& component : sources[i].components) {
        result.indexes.push_back(
            locate_index(sources[i], result.releases[i], component, architecture,
                         fmt::format("{}/binary-{}/Packages", component, architecture)));
      }
    }
    if (options_.skip_incomplete_suites) {
      fetch_available_indexes(result, sources, op);
    } else {
      fetch_indexes(result.indexes, result.releases, sources, op);
    }
    return result;
  }

  std::filesystem::path fetch(const Package& package, const Operation& op) override {
    if (package.size_bytes > max_package_bytes) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot fetch {}: {} is more than a package may have",
                              aipack::quoted(package.label()), human_bytes(package.size_bytes)));
    }
    const auto target = options_.cache_dir / "packages" / (package.digest.hex() + ".deb");
    fetch_file({mirror_url(package.url)}, package.digest, package.size_bytes, target,
               package.label(), op);
    return target;
  }

  std::filesystem::path fetch_source_file(std::span<const Source> sources,
                                          std::string_view source_package,
                                          std::string_view file_suffix,
                                          const Operation& op) override {
    const std::vector<Release> releases = releases_of(sources, op);
    std::vector<IndexFile> indexes;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      for (const std::string& component : sources[i].components) {
        indexes.push_back(locate_index(sources[i], releases[i], component, "source",
                                       fmt::format("{}/source/Sources", component)));
      }
    }
    fetch_indexes(indexes, releases, sources, op);
    const SourceFile file = find_source_file(indexes, source_package, file_suffix, op);
    const auto target =
        options_.cache_dir / "sources" / fmt::format("{}-{}", file.digest.hex(), file.name);
    fetch_file({file.url}, file.digest, file.size_bytes, target, file.name, op);
    return target;
  }

private:
  // --- releases ---

  /// What one source's releases went through in this object. The mutex makes parallel snapshots
  /// wait for one download.
  struct Slot {
    std::mutex mutex{};
    std::optional<Release> release{};
    std::chrono::steady_clock::time_point at{};
  };

  std::vector<Release> releases_of(std::span<const Source> sources, const Operation& op) {
    return map_each<Release>(
        sources, options_.concurrency, op,
        [&](const Source& source, const Operation& inner) { return release_of(source, inner); });
  }

  Release release_of(const Source& source, const Operation& op) {
    std::shared_ptr<Slot> slot;
    {
      const std::lock_guard lock(mutex_);
      auto& place = slots_[source.mirror + " " + source.suite];
      if (!place) {
        place = std::make_shared<Slot>();
      }
      slot = place;
    }
    const std::lock_guard lock(slot->mutex);
    op.check();
    if (!slot->release || std::chrono::steady_clock::now() - slot->at > release_reuse) {
      slot->release = with_context([&] { return current_release(source, op); },
                                   fmt::format("while reading suite {}", display(source)));
      slot->at = std::chrono::steady_clock::now();
    }
    return *slot->release;
  }

  [[nodiscard]] std::filesystem::path state_path(const Source& source) const {
    const std::string key = fmt::format("{}\n{}", source.mirror, source.suite);
    return options_.cache_dir / "releases" / oci::Digest::of(key).hex().substr(0, 32);
  }

  [[nodiscard]] std::optional<ReleaseState> read_state(const Source& source) const {
    const auto path = state_path(source);
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      return std::nullopt;
    }
    return ReleaseState::parse(
        io::read_text_file(path, max_release_bytes + (std::uint64_t{64} << 10)));
  }

  Release current_release(const Source& source, const Operation& op) {
    const auto state = read_state(source);
    if (options_.offline && !state) {
      throw Error(
          ErrorCode::unavailable,
          fmt::format("cannot read suite {} offline: it is not in the cache", display(source)))
          .with_hint("run the command once without --offline");
    }
    ReleaseState next = options_.offline ? *state : newest_state(source, state, op);
    const Release release = verified_release(source, next);
    if (state && release.date < state->date && !options_.verify.ignore_valid_until) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot use InRelease of {}: the mirror serves the one of {}, older "
                              "than that of {} seen before",
                              display(source), to_date_text(release.date),
                              to_date_text(state->date)))
          .with_hint("the mirror is behind or replays old files: use another one; "
                     "--ignore-valid-until waives the check");
    }
    // A waived check must not lower what later runs compare with.
    next.date = std::max(release.date, state ? state->date : release.date);
    if (!state || next != *state) {
      io::write_file_atomically(state_path(source), io::as_bytes(next.to_string()));
    }
    return release;
  }

  /// What the mirror has now, not verified yet.
  ReleaseState newest_state(const Source& source, const std::optional<ReleaseState>& state,
                            const Operation& op) {
    const http::Response response = request_in_release(source, state, op);
    if (response.status == 304 && state) {
      return *state;
    }
    if (response.status != 200) {
      throw http::status_error("fetch", response);
    }
    // The same bytes, served again by a mirror without validators, keep what is known about them.
    ReleaseState next = state && state->in_release == response.body
                            ? *state
                            : ReleaseState{.in_release = response.body};
    next.etag = response.header("ETag").value_or("");
    next.last_modified = response.header("Last-Modified").value_or("");
    return next;
  }

  http::Response request_in_release(const Source& source, const std::optional<ReleaseState>& state,
                                    const Operation& op) {
    http::Request request;
    request.url = url_below(source, fmt::format("dists/{}/InRelease", source.suite));
    request.max_body_bytes = max_release_bytes;
    // A proxy must ask its origin: yesterday's InRelease names indexes that are gone.
    request.headers.push_back({"Cache-Control", "max-age=0"});
    if (state && !state->etag.empty()) {
      request.headers.push_back({"If-None-Match", state->etag});
    }
    if (state && !state->last_modified.empty()) {
      request.headers.push_back({"If-Modified-Since", state->last_modified});
    }
    const Activity activity(op, fmt::format("fetch InRelease of {}", source.suite));
    return http::perform_with_retries(transport_, request, activity.child(), options_.retry);
  }

  /// Verifies the signature, unless this very file was verified with this very keyring before and
  /// no key expired since; reads the release and checks suite and dates every time. `state` learns
  /// what the verification found.
  Release verified_release(const Source& source, ReleaseState& state) {
    const std::string name = fmt::format("InRelease of {}", display(source));
    const auto keyring = this->keyring();
    std::string text;
    if (state.keyring == keyring->digest().to_string() && options_.verify.now < state.good_until &&
        state.text_bytes > 0) {
      text = state.in_release.substr(static_cast<std::size_t>(state.text_offset),
                                     static_cast<std::size_t>(state.text_bytes));
    } else {
      SignedText signed_text = keyring->verify(state.in_release, name, options_.verify.now);
      text = std::move(signed_text.text);
      state.keyring = keyring->digest().to_string();
      state.signed_by = std::move(signed_text.signed_by);
      state.good_until = signed_text.good_until;
      // Without dash escapes the signed text is a part of the file, and the next run can take it
      // from there.
      const std::size_t offset = state.in_release.find(text);
      state.text_offset = offset == std::string::npos ? 0 : offset;
      state.text_bytes = offset == std::string::npos ? 0 : text.size();
    }
    Release release = parse_release(text, source.suite);
    release.digest = oci::Digest::of(state.in_release);
    release.signed_by = state.signed_by;
    check_release(release, options_.verify);
    return release;
  }

  std::shared_ptr<Keyring> keyring() {
    const std::lock_guard lock(mutex_);
    if (!keyring_) {
      keyring_ = Keyring::open(options_.verify.keyrings);
    }
    return keyring_;
  }

  // --- indexes ---

  [[nodiscard]] IndexFile locate_index(const Source& source, const Release& release,
                                       const std::string& component,
                                       const std::string& architecture, std::string path) const {
    const ReleaseFile* file = release.find(path);
    if (file == nullptr) {
      std::string known;
      for (const std::string& name : release.architectures) {
        known += known.empty() ? name : ", " + name;
      }
      throw Error(ErrorCode::not_found, fmt::format("cannot use suite {}: it has no {}",
                                                    display(source), aipack::quoted(path)))
          .with_hint(fmt::format("architectures of this suite: {}", known));
    }
    if (file->size_bytes > max_index_bytes) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot use {} of {}: {} is more than an index may have",
                              aipack::quoted(path), display(source),
                              human_bytes(file->size_bytes)));
    }
    return {.source = source,
            .component = component,
            .architecture = architecture,
            .release_path = std::move(path),
            .digest = file->digest,
            .size_bytes = file->size_bytes,
            .file = options_.cache_dir / "indexes" / file->digest.hex()};
  }

  void fetch_indexes(std::span<const IndexFile> indexes, const std::vector<Release>& releases,
                     std::span<const Source> sources, const Operation& op) {
    for_each(
        indexes, options_.concurrency, op, [&](const IndexFile& index, const Operation& inner) {
          const auto source = std::find(sources.begin(), sources.end(), index.source);
          const Release& release = releases[static_cast<std::size_t>(source - sources.begin())];
          with_context([&] { fetch_index(index, release, inner); },
                       fmt::format("while reading suite {}", display(index.source)));
        });
  }

  /// The first source must be whole; of the others an index that the mirror does not serve as its
  /// release names it is left out and recorded.
  void fetch_available_indexes(PackageIndex& result, std::span<const Source> sources,
                               const Operation& op) {
    std::vector<IndexFile> available;
    for (const IndexFile& index : result.indexes) {
      try {
        fetch_indexes(std::span(&index, 1), result.releases, sources, op);
        available.push_back(index);
      } catch (const Error& error) {
        const bool mirror_is_behind = error.code() == ErrorCode::corrupt ||
                                      error.code() == ErrorCode::not_found ||
                                      (options_.offline && error.code() == ErrorCode::unavailable);
        if (!mirror_is_behind || index.source == sources.front()) {
          throw;
        }
        result.skipped.push_back(fmt::format("suite {} was left out for {}: {}", index.source.suite,
                                             index.architecture, error.message()));
      }
    }
    result.indexes = std::move(available);
  }

  static bool is_complete(const std::filesystem::path& file, std::uint64_t size_bytes) {
    std::error_code error;
    return std::filesystem::file_size(file, error) == size_bytes && !error;
  }

  void fetch_index(const IndexFile& index, const Release& release, const Operation& op) {
    if (is_complete(index.file, index.size_bytes)) {
      return;
    }
    if (options_.offline) {
      throw Error(ErrorCode::unavailable,
                  fmt::format("cannot read {} offline: it is not in the cache",
                              aipack::quoted(index.release_path)))
          .with_hint("run the command once without --offline");
    }
    // Held over download and unpacking: whoever comes second finds the index. Other names than
    // those that fetch_file() locks.
    const auto turn = turn_of("index " + index.digest.hex());
    const std::lock_guard mine(*turn);
    const auto lock_path = options_.cache_dir / "partial" / (index.digest.hex() + ".index.lock");
    const io::FileLock lock(lock_path, op);
    if (!is_complete(index.file, index.size_bytes)) {
      fetch_index_in_any_form(index, release, op);
    }
    remove_quietly(lock_path);
  }

  void fetch_index_in_any_form(const IndexFile& index, const Release& release,
                               const Operation& op) {
    // Smallest first; not every archive serves every form that its Release file lists.
    for (const char* suffix : {".xz", ".zst", ".gz", ""}) {
      const ReleaseFile* file = release.find(index.release_path + suffix);
      if (file == nullptr || file->size_bytes > max_index_bytes) {
        continue;
      }
      try {
        return fetch_index_form(index, release, *file, op);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) {
          throw;
        }
      }
    }
    throw Error(ErrorCode::not_found, fmt::format("cannot fetch {}: the mirror has it in no form",
                                                  aipack::quoted(index.release_path)))
        .with_hint("the mirror may be in the middle of an update: try again, or use another one");
  }

  void fetch_index_form(const IndexFile& index, const Release& release, const ReleaseFile& file,
                        const Operation& op) {
    const std::vector<std::string> urls = urls_of(index.source, release, file);
    const std::string label = fmt::format("{} {}", index.source.suite, file.path);
    if (file.digest == index.digest) {
      fetch_file(urls, file.digest, file.size_bytes, index.file, label, op);
      return;
    }
    // The compressed form is only needed until it is unpacked; it stands beside the partial
    // downloads.
    const auto packed = options_.cache_dir / "partial" / (file.digest.hex() + ".packed");
    fetch_file(urls, file.digest, file.size_bytes, packed, label, op);
    try {
      unpack_index(index, packed, label, op);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::corrupt) {
        remove_quietly(
            packed); // It is what the release lists, and does not hold what the release lists.
      }
      throw;
    }
    remove_quietly(packed);
  }

  /// Where the content of `file` may be, best first: by its digest, by its path, and by the same
  /// two of other files of the release with that very digest. (Indexes of a small suite are often
  /// the same for all architectures, and mirrors lag for the rare ones.)
  static std::vector<std::string> urls_of(const Source& source, const Release& release,
                                          const ReleaseFile& file) {
    constexpr std::size_t max_urls = 8;
    std::vector<std::string> urls;
    const auto add = [&](const ReleaseFile& place) {
      if (release.acquire_by_hash) {
        urls.push_back(
            url_below(source, fmt::format("dists/{}/{}by-hash/SHA256/{}", source.suite,
                                          directory_of(place.path), place.digest.hex())));
      }
      urls.push_back(url_below(source, fmt::format("dists/{}/{}", source.suite, place.path)));
    };
    add(file);
    for (const ReleaseFile& twin : release.files) {
      if (twin.digest == file.digest && twin.path != file.path && urls.size() < max_urls) {
        add(twin);
      }
    }
    return urls;
  }

  void unpack_index(const IndexFile& index, const std::filesystem::path& packed,
                    const std::string& label, const Operation& op) {
    codec::VerifyingSource unpacked(
        codec::make_decompressor(std::make_unique<io::FileSource>(packed), index.size_bytes, label),
        index.digest, index.size_bytes, aipack::quoted(index.release_path));
    io::TempFile target(options_.cache_dir / "indexes");
    io::copy(unpacked, target, op);
    target.commit(index.file, io::TempFile::IfExists::replace, io::Durability::cached);
  }

  static void remove_quietly(const std::filesystem::path& file) noexcept {
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
  }

  // --- files by digest ---

  /// True when the cached file is what its name says: it was verified when it came, but a disk or a
  /// person may have changed it since, and what is unpacked must be what was signed.
  static bool is_intact(const std::filesystem::path& file, const oci::Digest& digest,
                        std::uint64_t size_bytes, const Operation& op) {
    if (!is_complete(file, size_bytes)) {
      return false;
    }
    io::FileSource source(file);
    return codec::sha256(source, op) == digest;
  }

  /// Brings the content of `digest` to `target`, from the first URL that has it. Several threads
  /// and processes may ask for the same.
  void fetch_file(const std::vector<std::string>& urls, const oci::Digest& digest,
                  std::uint64_t size_bytes, const std::filesystem::path& target,
                  const std::string& label, const Operation& op) {
    if (is_intact(target, digest, size_bytes, op)) {
      return;
    }
    if (options_.offline) {
      throw Error(
          ErrorCode::unavailable,
          fmt::format("cannot fetch {} offline: it is not in the cache", aipack::quoted(label)))
          .with_hint("run the command once without --offline");
    }
    // Threads take turns by a mutex, which wakes them at once; the file lock is for other
    // processes.
    const auto turn = turn_of("file " + digest.hex());
    const std::lock_guard mine(*turn);
    const auto partial_path = options_.cache_dir / "partial" / digest.hex();
    const auto lock_path = options_.cache_dir / "partial" / (digest.hex() + ".lock");
    const io::FileLock lock(lock_path, op);
    if (is_intact(target, digest, size_bytes, op)) {
      return; // Somebody else was faster.
    }
    remove_quietly(target); // What stands there is damaged.
    Activity activity(op, fmt::format("fetch {}", label), size_bytes);
    PartialFile partial(partial_path, size_bytes, activity, op);
    download_from_any(urls, partial, digest, size_bytes, label, op);
    partial.commit(target);
    // Whoever waits for the lock finds the file; whoever makes a new lock finds it too.
    remove_quietly(lock_path);
  }

  std::shared_ptr<std::mutex> turn_of(const std::string& what) {
    const std::lock_guard lock(mutex_);
    auto& turn = turns_[what];
    if (!turn) {
      turn = std::make_shared<std::mutex>();
    }
    return turn;
  }

  /// Into `partial`, from the first URL that has the content of `digest`. Of several failures the
  /// one that is thrown is a lie rather than an absence.
  void download_from_any(const std::vector<std::string>& urls, PartialFile& partial,
                         const oci::Digest& digest, std::uint64_t size_bytes,
                         const std::string& label, const Operation& op) {
    std::optional<Error> failure;
    for (const std::string& url : urls) {
      try {
        return download_verified(url, partial, digest, size_bytes, label, op);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found && error.code() != ErrorCode::corrupt) {
          throw;
        }
        if (!failure || error.code() == ErrorCode::corrupt) {
          failure = error;
        }
      }
    }
    throw *failure;
  }

  void download_verified(const std::string& url, PartialFile& partial, const oci::Digest& digest,
                         std::uint64_t size_bytes, const std::string& label, const Operation& op) {
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
      if (partial.size() == size_bytes && partial.digest() == digest) {
        return;
      }
      const std::string cause =
          partial.size() == size_bytes
              ? fmt::format("it has digest {}, {} was announced", partial.digest().to_string(),
                            digest.to_string())
              : fmt::format("it has {} bytes, {} were announced", partial.size(), size_bytes);
      partial.reset();
      if (!continued) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("cannot fetch {} from {}: {}", aipack::quoted(label),
                                aipack::quoted(redacted_url(url)), cause))
            .with_hint("the mirror serves another file than the signed release names, maybe in the "
                       "middle of an update: try later, or another mirror; "
                       "--skip-incomplete-suites goes on without it");
      }
      // What an earlier call left may have been of another file: once more, from the start.
    }
  }

  // --- source packages ---

  struct SourceFile {
    std::string name;
    std::string url;
    oci::Digest digest;
    std::uint64_t size_bytes = 0;
  };

  /// The file of the newest version of the package in any of the indexes.
  static SourceFile find_source_file(std::span<const IndexFile> indexes,
                                     std::string_view source_package, std::string_view suffixes,
                                     const Operation& op) {
    std::optional<Version> newest;
    std::optional<std::pair<Paragraph, const IndexFile*>> found;
    for (const IndexFile& index : indexes) {
      const io::Mapping mapping(index.file);
      const std::string_view text = io::as_text(mapping.bytes());
      for (const std::string_view part : paragraphs_of(text, source_package, op)) {
        Paragraph paragraph = parse_control(part, index.release_path).at(0);
        Version version = Version::parse(paragraph.get("Version"));
        if (!newest || *newest < version) {
          newest = std::move(version);
          found.emplace(std::move(paragraph), &index);
        }
      }
    }
    if (!found) {
      throw Error(ErrorCode::not_found,
                  fmt::format("cannot find source package {}: no Sources index names it",
                              aipack::quoted(source_package)));
    }
    const auto& [paragraph, index] = *found;
    const std::string_view directory = paragraph.get("Directory");
    for (const std::string_view suffix : split(suffixes, '|')) {
      for (const std::string_view line : split(paragraph.get("Checksums-Sha256"), '\n')) {
        if (auto file = parse_checksum(line, suffix)) {
          const auto place = fs::RootPath::try_parse(fmt::format("{}/{}", directory, file->name));
          if (!place || fs::RootPath::parse(file->name).text() != place->filename() ||
              file->size_bytes > max_package_bytes) {
            throw FormatError(index->release_path, std::nullopt,
                              fmt::format("a wrong file name {}", aipack::quoted(file->name)));
          }
          file->url = url_below(index->source, place->text());
          return *file;
        }
      }
    }
    throw Error(ErrorCode::not_found,
                fmt::format("cannot find a file {} of source package {} {}",
                            aipack::quoted(suffixes), aipack::quoted(source_package),
                            newest->to_string()));
  }

  /// " <digest> <size> <name>" whose name ends in `suffix`.
  static std::optional<SourceFile> parse_checksum(std::string_view line, std::string_view suffix) {
    line = trim(line);
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) {
      return std::nullopt;
    }
    const std::string_view name = line.substr(last + 1);
    const auto digest = oci::Digest::try_from_hex(line.substr(0, first));
    const auto size = parse_decimal(trim(line.substr(first, last - first)));
    if (name.size() < suffix.size() || name.substr(name.size() - suffix.size()) != suffix ||
        !digest || !size || !fs::RootPath::try_parse(name)) {
      return std::nullopt;
    }
    return SourceFile{std::string(name), {}, *digest, *size};
  }

  /// The paragraphs whose Package field is `name`, without parsing the others: a Sources index has
  /// 70 MB.
  static std::vector<std::string_view> paragraphs_of(std::string_view text, std::string_view name,
                                                     const Operation& op) {
    std::vector<std::string_view> result;
    const std::string line = fmt::format("Package: {}\n", name);
    for (std::size_t at = 0; (at = text.find(line, at)) != std::string_view::npos; ++at) {
      op.check();
      if (at != 0 && text[at - 1] != '\n') {
        continue;
      }
      const std::size_t before = text.rfind("\n\n", at);
      const std::size_t begin = before == std::string_view::npos ? 0 : before + 2;
      const std::size_t end = std::min(text.find("\n\n", at), text.size());
      result.push_back(text.substr(begin, end - begin));
    }
    return result;
  }

  http::HttpTransport& transport_;
  ArchiveOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::map<std::string, std::shared_ptr<std::mutex>> turns_;
  std::shared_ptr<Keyring> keyring_;
};

} // namespace

oci::Digest PackageIndex::fingerprint() const {
  // Of the indexes, not of the releases: an InRelease that is signed anew every day over the same
  // indexes changes nothing. The mirror is a part, because packages are pinned with their URLs.
  std::string text = platform.to_string() + "\n";
  for (const IndexFile& index : indexes) {
    text += fmt::format("{} {} {} {} {}\n", index.source.mirror, index.source.suite,
                        index.release_path, index.architecture, index.digest.to_string());
  }
  return oci::Digest::of(text);
}

std::unique_ptr<PackageSource> make_package_source(http::HttpTransport& transport,
                                                   ArchiveOptions options) {
  return std::make_unique<Archive>(transport, std::move(options));
}

} // namespace aipack::deb
