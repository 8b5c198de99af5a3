#include "aipack/io/byte_stream.hpp"

#include "aipack/core/error.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace aipack::io {

namespace {

/// Appends the rest of `source` to a vector or string, `limit` bytes at most.
template <class Buffer>
Buffer read_whole(ByteSource& source, std::uint64_t limit, std::string_view what) {
  Buffer buffer;
  std::size_t used = 0;
  for (;;) {
    if (used == buffer.size()) {
      // Grows with what arrives, never with what a header promises. One byte over the limit tells
      // "exactly" from "too large".
      const std::uint64_t room = std::max<std::uint64_t>(4096, buffer.size());
      const std::uint64_t most = limit == UINT64_MAX ? limit : limit + 1;
      buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(used + room, most)));
    }
    const std::size_t count = source.read(std::as_writable_bytes(std::span(buffer)).subspan(used));
    if (count == 0) {
      buffer.resize(used);
      return buffer;
    }
    used += count;
    if (used > limit) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot read {}: larger than {} bytes", what, limit));
    }
  }
}

} // namespace

std::uint64_t copy(ByteSource& source, ByteSink& sink, const Operation& op) {
  // Not cleared: most of what is copied is far smaller.
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(copy_buffer_bytes);
  const std::span buffer(memory.get(), copy_buffer_bytes);
  std::uint64_t total = 0;
  for (;;) {
    op.check();
    const std::size_t count = source.read(buffer);
    if (count == 0) {
      return total;
    }
    sink.write(buffer.first(count));
    total += count;
  }
}

std::size_t fill(ByteSource& source, std::span<std::byte> into) {
  std::size_t count = 0;
  while (count < into.size()) {
    const std::size_t step = source.read(into.subspan(count));
    if (step == 0) {
      break;
    }
    count += step;
  }
  return count;
}

bool same_bytes(ByteSource& a, ByteSource& b, const Operation& op) {
  std::vector<std::byte> left(copy_buffer_bytes);
  std::vector<std::byte> right(copy_buffer_bytes);
  for (;;) {
    op.check();
    const std::size_t count = fill(a, left);
    if (fill(b, right) != count || std::memcmp(left.data(), right.data(), count) != 0) {
      return false;
    }
    if (count < left.size()) {
      return true;
    }
  }
}

std::vector<std::byte> read_all(ByteSource& source, std::uint64_t limit, std::string_view what) {
  return read_whole<std::vector<std::byte>>(source, limit, what);
}

std::string read_text(ByteSource& source, std::uint64_t limit, std::string_view what) {
  return read_whole<std::string>(source, limit, what);
}

std::size_t MemorySource::read(std::span<std::byte> into) {
  const std::size_t count = std::min(into.size(), rest_.size());
  if (count != 0) {
    std::memcpy(into.data(), rest_.data(), count);
  }
  rest_ = rest_.subspan(count);
  return count;
}

void MemorySink::write(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace aipack::io
