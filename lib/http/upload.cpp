#include "upload.hpp"

#include "aipack/core/error.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::http {

void Upload::rewind() {
  if (at_ > 0 && !request_.repeat_body) {
    throw Error(ErrorCode::unavailable,
                "cannot send request body: the connection was lost, and the server may have a part "
                "of it");
  }
  source_.reset();
  at_ = 0;
  finished_ = false;
}

std::size_t Upload::read(std::span<std::byte> into) {
  if (finished_) {
    return 0;
  }
  if (!source_) {
    source_ = request_.body();
  }
  const auto announced = request_.body_bytes;
  const std::uint64_t rest = announced ? *announced - at_ : into.size();
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(rest, into.size()));
  const std::size_t count = wanted == 0 ? 0 : source_->read(into.first(wanted));
  at_ += count;
  if (count == 0 && rest > 0) {
    if (announced) {
      throw Error(ErrorCode::io, fmt::format("cannot send request body: it ended after {} of {} "
                                             "bytes",
                                             at_, *announced));
    }
    finished_ = true;
  }
  if (announced && at_ == *announced) {
    // Its end is part of it: a source that verifies itself speaks up here.
    std::byte extra{};
    if (source_->read({&extra, 1}) != 0) {
      throw Error(ErrorCode::internal,
                  fmt::format("cannot send request body: longer than {} bytes", *announced));
    }
    finished_ = true;
  }
  return count;
}

} // namespace aipack::http
