#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::io {

/// Bytes that are read once, in order.
struct AIPACK_API ByteSource {
  virtual ~ByteSource() = default;
  /// Fills the front of `into` and returns how many bytes; 0 means the end (`into` is never empty).
  virtual std::size_t read(std::span<std::byte> into) = 0;
};

/// Takes bytes in order. A sink that buffers or owns a resource has its own finishing call.
struct AIPACK_API ByteSink {
  virtual ~ByteSink() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;
};

/// Bytes that are read at any place. Threads: calls may run side by side.
struct AIPACK_API RandomAccess {
  virtual ~RandomAccess() = default;
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
  /// Reads exactly `into.size()` bytes; throws Error{corrupt} when the end comes first.
  virtual void read_at(std::uint64_t offset, std::span<std::byte> into) const = 0;
};

/// Buffer of the one copy loop; large enough that a read is not a system call per 64 KiB, small
/// enough for the L2 cache.
inline constexpr std::size_t copy_buffer_bytes = std::size_t{256} << 10;

/// Moves everything; returns the number of bytes. Asks `op` once per buffer.
AIPACK_API std::uint64_t copy(ByteSource& source, ByteSink& sink, const Operation& op);
/// Fills `into` and returns how many bytes; fewer than asked for mean the end.
AIPACK_API std::size_t fill(ByteSource& source, std::span<std::byte> into);
/// Whether both give the same bytes up to their ends; reads no further than the first difference.
/// Asks `op` once per buffer.
[[nodiscard]] AIPACK_API bool same_bytes(ByteSource& a, ByteSource& b, const Operation& op);
/// Reads to the end into memory; throws Error{corrupt} once `limit` bytes are exceeded ("cannot
/// read WHAT: larger than N bytes").
[[nodiscard]] AIPACK_API std::vector<std::byte> read_all(ByteSource& source, std::uint64_t limit,
                                                         std::string_view what);
[[nodiscard]] AIPACK_API std::string read_text(ByteSource& source, std::uint64_t limit,
                                               std::string_view what);

/// A source over memory that it owns or that outlives it.
class AIPACK_API MemorySource final : public ByteSource {
public:
  explicit MemorySource(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}
  /// Keeps `owner` alive as long as the source.
  MemorySource(std::shared_ptr<const void> owner, std::span<const std::byte> bytes) noexcept
      : owner_(std::move(owner)), rest_(bytes) {}
  std::size_t read(std::span<std::byte> into) override;

private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> rest_;
};

/// A sink into a vector.
class AIPACK_API MemorySink final : public ByteSink {
public:
  void write(std::span<const std::byte> bytes) override;
  [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::vector<std::byte> take() noexcept { return std::move(bytes_); }

private:
  std::vector<std::byte> bytes_;
};

/// Counts and drops.
class AIPACK_API NullSink final : public ByteSink {
public:
  void write(std::span<const std::byte> bytes) override { count_ += bytes.size(); }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

private:
  std::uint64_t count_ = 0;
};

[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}
[[nodiscard]] AIPACK_API std::string_view as_text(std::span<const std::byte> bytes) noexcept;

} // namespace aipack::io
