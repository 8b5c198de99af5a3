#pragma once

#include "aipack/io/byte_stream.hpp"

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <span>
#include <stop_token>
#include <vector>

namespace aipack::registry {

/// A bounded ring of bytes between a thread that pushes and one that pulls.
class Pipe final : public io::ByteSink {
public:
  static constexpr std::size_t capacity = 4 * io::copy_buffer_bytes;

  /// Waits for room; throws Error{cancelled} when `stop` is requested.
  explicit Pipe(std::stop_token stop) : stop_(std::move(stop)), ring_(capacity) {}
  void write(std::span<const std::byte> bytes) override;
  /// No more bytes; with a failure, read() throws it after the last of them.
  void close(std::exception_ptr failure) noexcept;
  /// Waits for bytes; 0 at the end.
  std::size_t read(std::span<std::byte> into);

private:
  std::stop_token stop_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::byte> ring_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
  bool closed_ = false;
  std::exception_ptr failure_{};
};

} // namespace aipack::registry
