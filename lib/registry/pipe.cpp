#include "pipe.hpp"

#include "aipack/core/error.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace aipack::registry {

void Pipe::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop_, [&] { return size_ < ring_.size(); })) {
      throw Error(ErrorCode::cancelled, "cannot go on: the caller asked to stop");
    }
    const std::size_t end = (begin_ + size_) % ring_.size();
    const std::size_t count = std::min({bytes.size(), ring_.size() - size_, ring_.size() - end});
    std::memcpy(ring_.data() + end, bytes.data(), count);
    size_ += count;
    bytes = bytes.subspan(count);
    changed_.notify_all();
  }
}

void Pipe::close(std::exception_ptr failure) noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  failure_ = std::move(failure);
  changed_.notify_all();
}

std::size_t Pipe::read(std::span<std::byte> into) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return size_ > 0 || closed_; });
  if (size_ == 0) {
    if (failure_) {
      std::rethrow_exception(failure_);
    }
    return 0;
  }
  const std::size_t count = std::min({into.size(), size_, ring_.size() - begin_});
  std::memcpy(into.data(), ring_.data() + begin_, count);
  begin_ = (begin_ + count) % ring_.size();
  size_ -= count;
  changed_.notify_all();
  return count;
}

} // namespace aipack::registry
