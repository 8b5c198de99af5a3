#include "session_gate.hpp"

#include <algorithm>
#include <utility>

namespace aipack::registry {

namespace {

/// Good answers per allowed request before one more is allowed: slower up than down.
constexpr unsigned answers_per_step = 4;

} // namespace

Gate::Gate(unsigned limit) noexcept : limit_(std::max(limit, 1U)), allowed_(limit_) {}

Gate::Pass::Pass(Pass&& other) noexcept
    : gate_(std::exchange(other.gate_, nullptr)), place_(other.place_), entered_(other.entered_) {}

Gate::Pass::~Pass() {
  if (gate_ != nullptr && place_ == Place::counted) {
    gate_->leave();
  }
}

Gate::Pass Gate::enter(Place place, const Operation& op) {
  std::unique_lock lock(mutex_);
  for (;;) {
    op.check();
    const auto now = Clock::now();
    if (now < closed_until_) {
      changed_.wait_until(lock, op.stop, closed_until_, [] { return false; });
    } else if (place == Place::counted && running_ >= allowed_) {
      changed_.wait(lock, op.stop, [&] { return running_ < allowed_; });
    } else {
      running_ += place == Place::counted ? 1 : 0;
      return {*this, place, now};
    }
  }
}

void Gate::leave() noexcept {
  const std::lock_guard lock(mutex_);
  --running_;
  changed_.notify_all();
}

void Gate::Pass::answered() noexcept {
  const std::lock_guard lock(gate_->mutex_);
  if (gate_->allowed_ < gate_->limit_ &&
      ++gate_->good_answers_ >= answers_per_step * gate_->allowed_) {
    ++gate_->allowed_;
    gate_->good_answers_ = 0;
    gate_->changed_.notify_all();
  }
}

void Gate::Pass::refused(std::chrono::milliseconds delay) noexcept {
  const std::lock_guard lock(gate_->mutex_);
  const auto now = Clock::now();
  gate_->closed_until_ = std::max(gate_->closed_until_, now + delay);
  // Requests that were on their way when the number was halved say nothing new.
  if (entered_ >= gate_->halved_at_) {
    gate_->allowed_ = std::max(gate_->allowed_ / 2, 1U);
    gate_->halved_at_ = now;
  }
  gate_->good_answers_ = 0;
}

unsigned Gate::allowed() const noexcept {
  const std::lock_guard lock(mutex_);
  return allowed_;
}

} // namespace aipack::registry
