#include "stall_watch.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::http {
namespace {

double in_seconds(std::chrono::milliseconds time) noexcept {
  return static_cast<double>(time.count()) / 1000;
}

} // namespace

StallWatch::StallWatch(const Request& request, Time now) noexcept
    : request_(request), window_(request.stall_timeout * rate_window_stalls), last_move_(now),
      window_begin_(now) {}

std::chrono::milliseconds StallWatch::patience() const noexcept {
  switch (phase_) {
  case Phase::connecting:
    return request_.connect_timeout + request_.stall_timeout; // never before libcurl's own
  case Phase::moving:
    return request_.stall_timeout;
  case Phase::answering:
    return request_.answer_timeout;
  }
  return {};
}

StallWatch::Time StallWatch::deadline() const noexcept {
  const Time silence = last_move_ + patience();
  return phase_ == Phase::moving ? std::min(silence, window_begin_ + window_) : silence;
}

std::optional<std::string> StallWatch::check(Phase phase, std::int64_t moved_bytes, Time now) {
  if (phase != phase_) {
    phase_ = phase;
    window_begin_ = last_move_ = now;
    window_moved_ = moved_ = moved_bytes;
  }
  if (moved_bytes != moved_) {
    moved_ = moved_bytes;
    last_move_ = now;
  }
  if (now - last_move_ >= patience()) {
    return phase_ == Phase::answering ? fmt::format("no answer for {} s after the request was sent",
                                                    in_seconds(patience()))
                                      : fmt::format("no data for {} s", in_seconds(patience()));
  }
  if (phase_ == Phase::moving && now - window_begin_ >= window_) {
    const std::int64_t moved = moved_ - window_moved_;
    const auto floor = static_cast<double>(request_.min_bytes_per_second) * in_seconds(window_);
    if (static_cast<double>(moved) < floor) {
      return fmt::format("only {} bytes in {} s", std::max<std::int64_t>(moved, 0),
                         in_seconds(window_));
    }
    window_begin_ = now;
    window_moved_ = moved_;
  }
  return std::nullopt;
}

} // namespace aipack::http
