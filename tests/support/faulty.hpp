#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/core/error.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

/// Sources and stores that go wrong at one chosen call. A test loops over that call until nothing
/// was injected any more, and asserts each time: the right result or a clean Error, no partial
/// blob, no temporary file.
namespace aipack::testing {

enum class Fault {
  fail,     ///< throws Error{unavailable}, as a lost connection does
  truncate, ///< says that it is the end
  flip_bit, ///< delivers one wrong bit
  delay,    ///< lets other threads go first; nothing is wrong
};

/// Counts calls and says when it is time. Shared by everything that one test injects into.
struct FaultPlan {
  Fault fault = Fault::fail;
  std::size_t at_call = 0; ///< the first call is 0
  std::size_t calls = 0;
  bool injected = false;

  bool is_due() {
    const bool due = calls++ == at_call;
    injected = injected || due;
    return due;
  }
  [[noreturn]] static void fail() {
    throw Error(ErrorCode::unavailable, "cannot go on: the fault that the test injects");
  }
};

class FaultySource final : public io::ByteSource {
public:
  FaultySource(std::unique_ptr<io::ByteSource> source, std::shared_ptr<FaultPlan> plan)
      : source_(std::move(source)), plan_(std::move(plan)) {}

  std::size_t read(std::span<std::byte> into) override {
    if (ended_) {
      return 0;
    }
    if (!plan_->is_due()) {
      return source_->read(into);
    }
    switch (plan_->fault) {
    case Fault::fail:
      FaultPlan::fail();
    case Fault::truncate:
      ended_ = true;
      return 0;
    case Fault::flip_bit: {
      const std::size_t count = source_->read(into);
      if (count > 0) {
        into[count / 2] ^= std::byte{0x10};
      }
      return count;
    }
    case Fault::delay:
      std::this_thread::yield();
      return source_->read(into);
    }
    return 0;
  }

private:
  std::unique_ptr<io::ByteSource> source_;
  std::shared_ptr<FaultPlan> plan_;
  bool ended_ = false;
};

/// A store in front of another one. Calls count, and so do reads of the bytes that go in and out.
class FaultyStore final : public blob::BlobStore {
public:
  FaultyStore(blob::BlobStore& store, std::shared_ptr<FaultPlan> plan)
      : store_(store), plan_(std::move(plan)) {}

  [[nodiscard]] bool contains(const oci::Descriptor& descriptor) const override {
    maybe_fail();
    return store_.contains(descriptor);
  }
  [[nodiscard]] blob::BlobPtr find(const oci::Descriptor& descriptor) const override {
    maybe_fail();
    return wrapped(store_.find(descriptor));
  }
  blob::BlobPtr put(const oci::Descriptor& expected, io::ByteSource& source,
                    const Operation& op) override {
    maybe_fail();
    FaultySource faulty(std::make_unique<Borrowed>(source), plan_);
    return wrapped(store_.put(expected, faulty, op));
  }
  blob::BlobPtr ingest(std::string_view media_type, io::ByteSource& source,
                       const Operation& op) override {
    maybe_fail();
    FaultySource faulty(std::make_unique<Borrowed>(source), plan_);
    return wrapped(store_.ingest(media_type, faulty, op));
  }

private:
  class Borrowed final : public io::ByteSource {
  public:
    explicit Borrowed(io::ByteSource& source) : source_(source) {}
    std::size_t read(std::span<std::byte> into) override { return source_.read(into); }

  private:
    io::ByteSource& source_;
  };

  /// What comes out is verified as what comes out of a real store is.
  class FaultyBlob final : public blob::BlobSource {
  public:
    FaultyBlob(blob::BlobPtr inner, std::shared_ptr<FaultPlan> plan)
        : inner_(std::move(inner)), plan_(std::move(plan)) {}
    [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override {
      return inner_->descriptor();
    }
    [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
      auto faulty = std::make_unique<FaultySource>(inner_->open(offset), plan_);
      if (offset != 0) {
        return faulty;
      }
      return std::make_unique<codec::VerifyingSource>(std::move(faulty), descriptor().digest,
                                                      descriptor().size_bytes, "faulty blob");
    }

  private:
    blob::BlobPtr inner_;
    std::shared_ptr<FaultPlan> plan_;
  };

  void maybe_fail() const {
    if (plan_->is_due() && plan_->fault == Fault::fail) {
      FaultPlan::fail();
    }
  }
  [[nodiscard]] blob::BlobPtr wrapped(blob::BlobPtr inner) const {
    return inner ? std::make_shared<FaultyBlob>(std::move(inner), plan_) : nullptr;
  }

  blob::BlobStore& store_;
  std::shared_ptr<FaultPlan> plan_;
};

} // namespace aipack::testing
