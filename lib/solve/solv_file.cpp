#include "solv_file.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/io/byte_stream.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include <fmt/core.h>

namespace aipack::solve {
namespace {

constexpr std::string_view magic = "aipack-solv-0001";
constexpr std::size_t sizes_bytes = 16;
constexpr std::size_t digest_bytes = 32;
constexpr std::size_t tail_bytes = sizes_bytes + digest_bytes + magic.size();

template <class Unsigned>
void append(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8 * i))));
  }
}

template <class Unsigned>
Unsigned take(std::string_view bytes) {
  Unsigned value = 0;
  for (std::size_t i = sizeof(Unsigned); i-- > 0;) {
    value = static_cast<Unsigned>(value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

oci::Digest seal(std::string_view body, const oci::Digest& index_digest) {
  codec::Sha256 hash;
  hash.update(io::as_bytes(body));
  hash.update(index_digest.bytes());
  return hash.digest();
}

} // namespace

SolvFile::SolvFile(const std::filesystem::path& cache_dir, const oci::Digest& index_digest)
    : index_digest_(index_digest) {
  if (!cache_dir.empty()) {
    path_ = cache_dir / "solv" /
            fmt::format("{}.{}.{}.solv", index_digest.hex(), solv::library_version(),
                        solv_file_version);
  }
}

std::optional<ParsedIndex> SolvFile::read(const std::string& name, std::size_t index_bytes,
                                          solv::Pool& pool) const {
  if (path_.empty()) {
    return std::nullopt;
  }
  std::optional<io::Mapping> mapping;
  try {
    mapping.emplace(path_);
  } catch (const Error&) {
    return std::nullopt; // absent, as a rule
  }
  const std::string_view file = io::as_text(mapping->bytes());
  if (file.size() < tail_bytes || !file.ends_with(magic)) {
    return std::nullopt;
  }
  const std::string_view body = file.substr(0, file.size() - magic.size() - digest_bytes);
  const std::string_view digest = file.substr(body.size(), digest_bytes);
  if (std::memcmp(seal(body, index_digest_).bytes().data(), digest.data(), digest_bytes) != 0) {
    return std::nullopt;
  }
  // From here on the bytes are what we wrote; the checks below guard against a bug of ours, not
  // against the disk.
  const auto solv_bytes = take<std::uint64_t>(body.substr(body.size() - sizes_bytes));
  const auto count = take<std::uint64_t>(body.substr(body.size() - sizes_bytes / 2));
  if (count > max_packages || solv_bytes > body.size() ||
      solv_bytes + count * 4 + sizes_bytes != body.size()) {
    return std::nullopt;
  }
  ParsedIndex parsed;
  parsed.offsets.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    parsed.offsets.push_back(take<std::uint32_t>(body.substr(solv_bytes + i * 4)));
    if (parsed.offsets.back() >= index_bytes) {
      return std::nullopt;
    }
  }
  const auto range = pool.read_solv(name, body.substr(0, solv_bytes), count);
  if (!range) {
    return std::nullopt;
  }
  parsed.packages = *range;
  return parsed;
}

void SolvFile::write(const ParsedIndex& parsed, solv::Pool& pool) const {
  if (path_.empty()) {
    return;
  }
  std::string bytes = pool.write_solv(parsed.packages);
  const std::size_t solv_bytes = bytes.size();
  bytes.reserve(bytes.size() + parsed.offsets.size() * 4 + tail_bytes);
  for (const std::uint32_t offset : parsed.offsets) {
    append(bytes, offset);
  }
  append(bytes, std::uint64_t{solv_bytes});
  append(bytes, std::uint64_t{parsed.offsets.size()});
  const oci::Digest digest = seal(bytes, index_digest_);
  bytes.append(io::as_text(digest.bytes()));
  bytes.append(magic);
  try {
    // Replaces: whatever stands there was not usable.
    io::write_file_atomically(path_, io::as_bytes(bytes));
  } catch (const Error&) {
    return;
  }
}

} // namespace aipack::solve
