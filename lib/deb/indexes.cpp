#include "indexes.hpp"

#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"

#include "releases.hpp"
#include "source.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::deb {
namespace {

std::string_view directory_of(std::string_view path) noexcept {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash + 1);
}

/// Where the content of `file` may be, best first: by its digest, by its path, and by the same two
/// of other files of the release with that very digest. (Indexes of a small suite are often the
/// same for all architectures, and mirrors lag for the rare ones.)
std::vector<std::string> urls_of(const Source& source, const Release& release,
                                 const ReleaseFile& file) {
  constexpr std::size_t max_urls = 8;
  std::vector<std::string> urls;
  const auto add = [&](const ReleaseFile& place) {
    if (release.acquire_by_hash) {
      urls.push_back(url_below(source, fmt::format("dists/{}/{}by-hash/SHA256/{}", source.suite,
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

} // namespace

IndexFile Indexes::locate(const Source& source, const Release& release,
                          const std::string& component, const std::string& architecture,
                          std::string path) const {
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
                            aipack::quoted(path), display(source), human_bytes(file->size_bytes)));
  }
  return {.source = source,
          .component = component,
          .architecture = architecture,
          .release_path = std::move(path),
          .digest = file->digest,
          .size_bytes = file->size_bytes,
          .file = options_.cache_dir / "indexes" / file->digest.hex()};
}

void Indexes::fetch(std::span<const IndexFile> indexes, const std::vector<Release>& releases,
                    std::span<const Source> sources, const Operation& op) {
  for_each(indexes, options_.concurrency, op, [&](const IndexFile& index, const Operation& inner) {
    const auto source = std::find(sources.begin(), sources.end(), index.source);
    const Release& release = releases[static_cast<std::size_t>(source - sources.begin())];
    with_context([&] { fetch_one(index, release, inner); },
                 fmt::format("while reading suite {}", display(index.source)));
  });
  files_.remember();
}

void Indexes::fetch_available(PackageIndex& result, std::span<const Source> sources,
                              const Operation& op) {
  std::vector<IndexFile> available;
  const auto leave_out = [&](const IndexFile& index, const std::string& cause) {
    result.skipped.push_back(fmt::format("suite {} was left out for {}: {}", index.source.suite,
                                         index.architecture, cause));
  };
  for (const IndexFile& index : result.indexes) {
    if (const auto cause = recent_refusal(index); cause && index.source != sources.front()) {
      leave_out(index, *cause);
      continue;
    }
    try {
      fetch(std::span(&index, 1), result.releases, sources, op);
      available.push_back(index);
    } catch (const Error& error) {
      const bool mirror_is_behind = error.code() == ErrorCode::corrupt ||
                                    is_absence(error.code()) ||
                                    (options_.offline && error.code() == ErrorCode::unavailable);
      if (!mirror_is_behind || index.source == sources.front()) {
        throw;
      }
      leave_out(index, error.message());
      if (!options_.offline) {
        note_refusal(index, error.message());
      }
    }
  }
  result.indexes = std::move(available);
}

std::filesystem::path Indexes::refusal_path(const IndexFile& index) const {
  return files_.partial(index.digest.hex() + ".refused");
}

std::optional<std::string> Indexes::recent_refusal(const IndexFile& index) const {
  constexpr std::uint64_t max_refusal_bytes = 64 << 10;
  const auto path = refusal_path(index);
  std::error_code failed;
  if (options_.offline || options_.ask_again_after.count() == 0 ||
      !std::filesystem::exists(path, failed) ||
      FileCache::is_complete(index.file, index.size_bytes)) {
    return std::nullopt;
  }
  try {
    const auto note = nlohmann::json::parse(io::read_text_file(path, max_refusal_bytes));
    if (note.at("mirror") == index.source.mirror &&
        is_recent(note.at("asked").get<std::int64_t>(), options_)) {
      return note.at("cause").get<std::string>();
    }
  } catch (const Error&) { // NOLINT(bugprone-empty-catch): a broken note is none
  } catch (const nlohmann::json::exception&) { // NOLINT(bugprone-empty-catch)
  }
  return std::nullopt;
}

void Indexes::note_refusal(const IndexFile& index, const std::string& cause) const noexcept {
  if (options_.ask_again_after.count() == 0) {
    return;
  }
  try {
    const nlohmann::json note{
        {"asked", options_.verify.now}, {"mirror", index.source.mirror}, {"cause", cause}};
    io::write_file_atomically(
        refusal_path(index),
        io::as_bytes(note.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the next snapshot asks
  }
}

void Indexes::fetch_one(const IndexFile& index, const Release& release, const Operation& op) {
  if (files_.holds(index.file, index.digest, index.size_bytes, op)) {
    return;
  }
  if (options_.offline) {
    throw missing_offline("read " + aipack::quoted(index.release_path));
  }
  // Held over download and unpacking: whoever comes second finds the index. Another name than those
  // that FileCache::fetch() takes.
  const FileCache::Turn turn(files_, index.digest.hex() + ".index", op);
  if (!files_.holds(index.file, index.digest, index.size_bytes, op)) {
    fetch_in_any_form(index, release, op);
  }
}

void Indexes::fetch_in_any_form(const IndexFile& index, const Release& release,
                                const Operation& op) {
  // Smallest first; not every archive serves every form that its Release file lists.
  std::optional<Error> failure;
  for (const char* suffix : {".xz", ".zst", ".gz", ""}) {
    const ReleaseFile* file = release.find(index.release_path + suffix);
    if (file == nullptr || file->size_bytes > max_index_bytes) {
      continue;
    }
    try {
      return fetch_form(index, release, *file, op);
    } catch (const Error& error) {
      if (!is_absence(error.code())) {
        throw;
      }
      keep_graver(failure, error);
    }
  }
  if (failure && failure->code() != ErrorCode::not_found) {
    throw *failure;
  }
  throw Error(ErrorCode::not_found, fmt::format("cannot fetch {}: the mirror has it in no form",
                                                aipack::quoted(index.release_path)))
      .with_hint("the mirror may be in the middle of an update: try again, or use another one");
}

void Indexes::fetch_form(const IndexFile& index, const Release& release, const ReleaseFile& file,
                         const Operation& op) {
  const Wanted wanted{.urls = urls_of(index.source, release, file),
                      .digest = file.digest,
                      .size_bytes = file.size_bytes,
                      .label = fmt::format("{} {}", index.source.suite, file.path)};
  if (file.digest == index.digest) {
    files_.fetch(wanted, index.file, op);
    return;
  }
  // The compressed form is only needed until it is unpacked; it stands beside the partial
  // downloads.
  const auto packed = files_.partial(file.digest.hex() + ".packed");
  files_.fetch(wanted, packed, op);
  try {
    unpack(index, packed, wanted.label, op);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::corrupt) {
      // It is what the release lists, and does not hold what the release lists.
      remove_quietly(packed);
    }
    throw;
  }
  remove_quietly(packed);
}

void Indexes::unpack(const IndexFile& index, const std::filesystem::path& packed,
                     const std::string& label, const Operation& op) const {
  codec::VerifyingSource unpacked(
      codec::make_decompressor(std::make_unique<io::FileSource>(packed), index.size_bytes, label),
      index.digest, index.size_bytes, aipack::quoted(index.release_path));
  io::TempFile target(options_.cache_dir / "indexes");
  io::copy(unpacked, target, op);
  target.commit(index.file, io::TempFile::IfExists::replace, io::Durability::cached);
}

} // namespace aipack::deb
