#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/codec/sha256.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace aipack::registry {

/// A source that is read ahead of whoever sends, by a thread of its own, so that neither disk nor
/// SHA-256 keeps the socket waiting. A buffer can be taken as soon as it is filled; `beside` sees
/// each of them on that thread meanwhile. A taker that finds nothing does not wait for that thread
/// to come to it, but reads the next buffer itself: so the time is that of the slowest of reading,
/// `beside` and sending, as far as two cores can share them. Errors come out of read(), after the
/// bytes before them. Memory: 4 MiB.
class ReadAhead final : public io::ByteSource {
public:
  using Beside = std::function<void(std::span<const std::byte>)>;
  static constexpr std::size_t buffer_bytes = std::size_t{512} << 10;
  static constexpr std::size_t buffers = 8;

  explicit ReadAhead(std::unique_ptr<io::ByteSource> source, Beside beside = {});
  ~ReadAhead() override;
  /// Returns 0 once `beside` has seen everything.
  std::size_t read(std::span<std::byte> into) override;

private:
  using Lock = std::unique_lock<std::mutex>;
  void work_ahead();
  [[nodiscard]] bool may_fill() const noexcept;
  [[nodiscard]] bool has_unseen() const noexcept { return seen_ < filled_ && !failure_; }
  /// Both give the lock away while they work.
  void fill_next(Lock& lock);
  void show_next(Lock& lock);
  /// Waits for a buffer to take; false at the end.
  [[nodiscard]] bool await_front(Lock& lock);
  [[nodiscard]] std::byte* memory_of(std::uint64_t index) const noexcept {
    return memory_.get() + (index % buffers) * buffer_bytes;
  }

  std::unique_ptr<io::ByteSource> source_; ///< of whoever has set `is_filling_`
  Beside beside_;
  std::unique_ptr<std::byte[]> memory_;
  std::size_t taken_of_front_ = 0; ///< only the taker's

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t sizes_[buffers]{};
  std::uint64_t filled_ = 0; ///< buffers, from the start
  std::uint64_t seen_ = 0;
  std::uint64_t taken_ = 0;
  bool is_filling_ = false;
  bool ended_ = false; ///< there is nothing more to fill
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::jthread thread_; ///< last: everything else is there before it starts, and after it ended
};

/// Who reads a file and hashes it.
enum class Reading {
  ahead,   ///< a thread of its own, where a core is idle: it takes the time of the slower of both
  in_place ///< whoever sends, into the very memory that it sends from: the least work in all
};

/// The bytes of one upload, piece by piece. Pieces that follow each other come from one stream, so
/// that the next may be read (and hashed) while the registry thinks about the last. Not
/// thread-safe: one piece at a time.
class UploadContent {
public:
  /// Of a known digest; `blob` must outlive it.
  explicit UploadContent(const blob::BlobSource& blob, Reading reading = Reading::ahead);
  /// Hashed while it is read for the first time; `recipe` must outlive it.
  explicit UploadContent(const blob::Recipe& recipe, Reading reading = Reading::ahead);
  ~UploadContent();
  UploadContent(const UploadContent&) = delete;
  UploadContent& operator=(const UploadContent&) = delete;

  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_; }
  [[nodiscard]] bool digest_known() const noexcept { return digest_.has_value(); }
  /// Exactly the bytes [begin, end), once: the read that reaches the blob's end also lets the
  /// source make its last checks. The piece before is not read any more.
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t begin, std::uint64_t end);
  /// What the source of the bytes failed with, if it did: then the registry is not to blame for a
  /// piece that broke.
  [[nodiscard]] std::exception_ptr failure() const noexcept { return failure_; }
  /// Reads what lies before `offset` and was not hashed yet.
  void hash_up_to(std::uint64_t offset, const Operation& op);
  /// Hashes the rest, if any.
  [[nodiscard]] const oci::Digest& digest(const Operation& op);

private:
  class Piece;
  class Hashing;
  std::size_t read(std::uint64_t at, std::span<std::byte> into);
  [[nodiscard]] std::unique_ptr<io::ByteSource> open_stream(std::uint64_t begin);
  void hash(std::uint64_t at, std::span<const std::byte> bytes);

  const blob::BlobSource* blob_ = nullptr;
  const blob::Recipe* recipe_ = nullptr; ///< null: the digest was known
  const Reading reading_;
  std::uint64_t size_;
  std::optional<oci::Digest> digest_{};
  codec::Sha256 hash_{};
  std::uint64_t hashed_ = 0;   ///< the stream's thread writes both while there is one
  std::uint64_t position_ = 0; ///< of the stream
  std::unique_ptr<io::ByteSource> stream_{};
  std::exception_ptr failure_{};
};

} // namespace aipack::registry
