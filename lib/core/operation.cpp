#include "aipack/core/operation.hpp"

#include "aipack/core/error.hpp"

#include <utility>

namespace aipack {

namespace {

struct NoProgress final : ProgressSink {
  void on_event(const ProgressEvent&) noexcept override {}
};

std::uint64_t next_activity_id() noexcept {
  // Identity only, no order: the one piece of process-wide state, and nothing that is written
  // depends on it. 0 means "no parent".
  static constinit std::atomic<std::uint64_t> counter{0};
  return counter.fetch_add(1, std::memory_order_relaxed) + 1;
}

} // namespace

ProgressSink& no_progress() noexcept {
  static NoProgress sink;
  return sink;
}

void Operation::check() const {
  if (stop.stop_requested()) {
    throw Error(ErrorCode::cancelled, "cannot finish: the caller asked to stop");
  }
}

Activity::Activity(const Operation& op, std::string label, std::uint64_t total)
    : stop_(op.stop), sink_(op.progress), label_(std::move(label)), id_(next_activity_id()),
      parent_(op.parent), total_(total) {
  send(ProgressEvent::Kind::begin);
}

Activity::~Activity() {
  send(ProgressEvent::Kind::end);
}

void Activity::advance(std::uint64_t by) noexcept {
  done_.fetch_add(by, std::memory_order_relaxed);
  send(ProgressEvent::Kind::advance);
}

void Activity::restart() noexcept {
  done_.store(0, std::memory_order_relaxed);
  send(ProgressEvent::Kind::advance);
}

void Activity::send(ProgressEvent::Kind kind) noexcept {
  sink_.on_event({.kind = kind,
                  .id = id_,
                  .parent = parent_,
                  .done = done_.load(std::memory_order_relaxed),
                  .total = total_.load(std::memory_order_relaxed),
                  .label = label_});
}

} // namespace aipack
