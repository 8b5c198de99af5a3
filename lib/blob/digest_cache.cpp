#include "aipack/blob/blob.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <tuple>

namespace aipack::blob {
namespace {

using Key = std::pair<io::FileIdentity, std::string>;

struct Entry {
  oci::Descriptor descriptor;
  std::uint64_t order; ///< larger: newer
};
using Entries = std::map<Key, Entry>;

// The file, all integers little-endian:
//   0   16  magic, with the format's version
//   16  32  SHA-256 of everything that follows: a flipped bit must not become a wrong digest
//   48      entries, oldest first, each
//           8 device · 8 inode · 8 size · 8 mtime_ns · 8 ctime_ns · 8 blob size · 32 blob digest
//           2 + n key · 2 + n media type
constexpr std::string_view magic = "aipack-digests-1";
constexpr std::size_t header_bytes = magic.size() + sizeof(oci::Digest::Bytes);
constexpr std::size_t max_text_bytes = 4096; ///< of a key or media type
constexpr std::uint64_t max_file_bytes = std::uint64_t{64} << 20;

class Writer {
public:
  void number(std::uint64_t value, std::size_t bytes = 8) {
    for (std::size_t i = 0; i < bytes; ++i) {
      out_ += static_cast<char>(value >> (8 * i) & 0xff);
    }
  }
  void text(std::string_view value) {
    number(value.size(), 2);
    out_ += value;
  }
  void digest(const oci::Digest& digest) { out_ += io::as_text(digest.bytes()); }
  [[nodiscard]] std::string take() { return std::move(out_); }

private:
  std::string out_;
};

/// Every method is right on any bytes: past the end it gives zeros and `ok()` turns false.
class Reader {
public:
  explicit Reader(std::string_view bytes) noexcept : rest_(bytes) {}
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

  std::uint64_t number(std::size_t bytes = 8) {
    std::uint64_t value = 0;
    const std::string_view field = take(bytes);
    for (std::size_t i = 0; i < field.size(); ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(field[i])} << (8 * i);
    }
    return value;
  }
  std::string_view text() { return take(static_cast<std::size_t>(number(2))); }
  oci::Digest digest() {
    oci::Digest::Bytes bytes{};
    const std::string_view field = take(bytes.size());
    if (!field.empty()) {
      std::memcpy(bytes.data(), field.data(), field.size());
    }
    return oci::Digest::from_bytes(bytes);
  }

private:
  std::string_view take(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view field = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return field;
  }
  std::string_view rest_;
  bool ok_ = true;
};

std::string serialize(const Entries& entries) {
  std::vector<const Entries::value_type*> sorted;
  sorted.reserve(entries.size());
  for (const auto& entry : entries) {
    sorted.push_back(&entry);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->second.order < b->second.order; });
  if (sorted.size() > DigestCache::max_entries) {
    sorted.erase(sorted.begin(),
                 sorted.end() - static_cast<std::ptrdiff_t>(DigestCache::max_entries));
  }
  Writer body;
  for (const auto* entry : sorted) {
    const auto& [identity, key] = entry->first;
    body.number(identity.device);
    body.number(identity.inode);
    body.number(identity.size_bytes);
    body.number(static_cast<std::uint64_t>(identity.mtime_ns));
    body.number(static_cast<std::uint64_t>(identity.ctime_ns));
    body.number(entry->second.descriptor.size_bytes);
    body.digest(entry->second.descriptor.digest);
    body.text(key);
    body.text(entry->second.descriptor.media_type);
  }
  const std::string bytes = body.take();
  std::string file(magic);
  file += io::as_text(oci::Digest::of(bytes).bytes());
  return file += bytes;
}

/// Nothing at all when anything is wrong.
Entries parse(std::string_view file) {
  Entries entries;
  if (file.size() < header_bytes || !file.starts_with(magic)) {
    return entries;
  }
  const std::string_view body = file.substr(header_bytes);
  if (file.substr(magic.size(), sizeof(oci::Digest::Bytes)) !=
      io::as_text(oci::Digest::of(body).bytes())) {
    return entries;
  }
  Reader reader(body);
  std::uint64_t order = 0;
  while (reader.ok() && !reader.at_end()) {
    io::FileIdentity identity;
    identity.device = reader.number();
    identity.inode = reader.number();
    identity.size_bytes = reader.number();
    identity.mtime_ns = static_cast<std::int64_t>(reader.number());
    identity.ctime_ns = static_cast<std::int64_t>(reader.number());
    const std::uint64_t size = reader.number();
    const oci::Digest digest = reader.digest();
    std::string key(reader.text());
    std::string media_type(reader.text());
    if (reader.ok()) {
      entries.insert_or_assign(
          Key{identity, std::move(key)},
          Entry{{.media_type = std::move(media_type), .digest = digest, .size_bytes = size},
                order++});
    }
  }
  return reader.ok() ? entries : Entries{};
}

Entries load(const std::filesystem::path& file) noexcept {
  try {
    return parse(io::read_text_file(file, max_file_bytes));
  } catch (const std::exception&) { // absent, unreadable or too large: an empty cache
    return {};
  }
}

/// Forgets what was known of other states of the file: they cannot come back, since ctime only
/// grows.
void erase_other_states(Entries& entries, const Key& key) {
  const auto& [identity, name] = key;
  constexpr auto lowest = std::numeric_limits<std::int64_t>::min();
  auto at =
      entries.lower_bound(Key{{identity.device, identity.inode, 0, lowest, lowest}, std::string{}});
  while (at != entries.end() && at->first.first.device == identity.device &&
         at->first.first.inode == identity.inode) {
    at = at->first.second == name && at->first != key ? entries.erase(at) : std::next(at);
  }
}

} // namespace

struct DigestCache::Impl {
  std::filesystem::path file;
  mutable std::mutex mutex;
  Entries entries;
  Entries fresh; ///< put since the last save
  std::uint64_t next_order = 0;

  void add(const Key& key, Entry entry) {
    erase_other_states(entries, key);
    entry.order = next_order++;
    entries.insert_or_assign(key, std::move(entry));
  }
};

DigestCache::DigestCache(std::filesystem::path file) : impl_(std::make_unique<Impl>()) {
  impl_->file = std::move(file);
  impl_->entries = load(impl_->file);
  impl_->next_order = impl_->entries.size();
}

DigestCache::~DigestCache() = default;

std::optional<oci::Descriptor> DigestCache::find(const io::FileIdentity& identity,
                                                 std::string_view key) const {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->entries.find(Key{identity, std::string(key)});
  if (found == impl_->entries.end()) {
    return std::nullopt;
  }
  return found->second.descriptor;
}

bool DigestCache::is_settled(const io::FileIdentity& identity, std::int64_t moment_ns) noexcept {
  const bool is_coarse = identity.ctime_ns % 1'000'000'000 == 0;
  return identity.ctime_ns < moment_ns - (is_coarse ? coarse_clock_grain_ns : clock_grain_ns);
}

void DigestCache::put(const io::FileIdentity& identity, std::string_view key,
                      const oci::Descriptor& descriptor, std::int64_t hashing_began_ns) {
  // What changed right before it was read may have changed once more since, unseen.
  if (!is_settled(identity, hashing_began_ns) || key.size() > max_text_bytes ||
      descriptor.media_type.size() > max_text_bytes) {
    return;
  }
  const std::lock_guard lock(impl_->mutex);
  const Key full_key{identity, std::string(key)};
  const Entry entry{{.media_type = descriptor.media_type,
                     .digest = descriptor.digest,
                     .size_bytes = descriptor.size_bytes},
                    0};
  impl_->add(full_key, entry);
  impl_->fresh.insert_or_assign(full_key, entry);
}

void DigestCache::save() const noexcept {
  try {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->fresh.empty()) {
      return;
    }
    std::filesystem::create_directories(impl_->file.parent_path());
    auto lock_path = impl_->file;
    const io::FileLock between_processes(lock_path += ".lock", Operation{});
    // What another process saved since this one loaded stays; what this one learned is newer.
    impl_->entries = load(impl_->file);
    impl_->next_order = impl_->entries.size();
    for (const auto& [key, entry] : impl_->fresh) {
      impl_->add(key, entry);
    }
    io::write_file_atomically(impl_->file, io::as_bytes(serialize(impl_->entries)));
    impl_->fresh.clear();
  } catch (const std::exception&) {
    // A cache that cannot be written costs time on the next run, nothing else.
  }
}

oci::Digest file_digest(const std::filesystem::path& file, DigestCache& cache,
                        const Operation& op) {
  constexpr std::string_view key = "file";
  const auto opened = std::make_shared<const io::File>(io::File::open(file));
  const auto identity = opened->identity();
  if (const auto known = cache.find(identity, key)) {
    return known->digest;
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto began = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  io::FileSource source(opened);
  const auto digest = codec::sha256(source, op);
  if (opened->identity() != identity) {
    throw Error(ErrorCode::io,
                "cannot read " + quoted(file.string()) + ": it changed while it was being read");
  }
  cache.put(identity, key, {"application/octet-stream", digest, identity.size_bytes}, began);
  return digest;
}

} // namespace aipack::blob
