#include "upload_content.hpp"

#include "aipack/core/error.hpp"

#include "upload_plan.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace aipack::registry {

// --- ReadAhead ---

ReadAhead::ReadAhead(std::unique_ptr<io::ByteSource> source, Beside beside)
    : source_(std::move(source)), beside_(std::move(beside)),
      memory_(std::make_unique_for_overwrite<std::byte[]>(buffers * buffer_bytes)),
      thread_([this] { work_ahead(); }) {}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

/// A buffer is free when it was taken and seen.
bool ReadAhead::may_fill() const noexcept {
  return !is_filling_ && !ended_ && filled_ < std::min(taken_, seen_) + buffers;
}

void ReadAhead::work_ahead() {
  Lock lock(mutex_);
  for (;;) {
    changed_.wait(
        lock, [&] { return stopping_ || has_unseen() || may_fill() || (ended_ && !is_filling_); });
    if (stopping_) {
      return;
    }
    if (has_unseen()) { // first: whoever sends can read, and nobody else can do this
      show_next(lock);
    } else if (may_fill()) {
      fill_next(lock);
    } else {
      return;
    }
  }
}

void ReadAhead::show_next(Lock& lock) {
  const std::span<const std::byte> buffer(memory_of(seen_), sizes_[seen_ % buffers]);
  lock.unlock();
  std::exception_ptr failure;
  try {
    if (beside_) { // the taker only reads it, and it is filled anew when it was seen
      beside_(buffer);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  if (failure) {
    failure_ = failure;
    ended_ = true;
  } else {
    ++seen_;
  }
  changed_.notify_all();
}

void ReadAhead::fill_next(Lock& lock) {
  is_filling_ = true;
  const std::span<std::byte> buffer(memory_of(filled_), buffer_bytes);
  lock.unlock();
  std::size_t size = 0;
  std::exception_ptr failure;
  try {
    size = io::fill(*source_, buffer);
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  is_filling_ = false;
  if (failure && !failure_) {
    failure_ = failure;
  }
  if (size > 0) {
    sizes_[filled_ % buffers] = size;
    ++filled_;
  }
  ended_ = ended_ || size < buffer.size();
  changed_.notify_all();
}

bool ReadAhead::await_front(Lock& lock) {
  while (taken_ == filled_) {
    if (may_fill()) {
      fill_next(lock);
    } else if (ended_ && failure_) {
      std::rethrow_exception(failure_);
    } else if (ended_ && seen_ == filled_) {
      return false;
    } else {
      changed_.wait(lock);
    }
  }
  return true;
}

std::size_t ReadAhead::read(std::span<std::byte> into) {
  std::size_t size = 0;
  {
    Lock lock(mutex_);
    if (!await_front(lock)) {
      return 0;
    }
    size = sizes_[taken_ % buffers];
  }
  const std::size_t count = std::min(into.size(), size - taken_of_front_);
  std::memcpy(into.data(), memory_of(taken_) + taken_of_front_, count);
  taken_of_front_ += count;
  if (taken_of_front_ == size) {
    taken_of_front_ = 0;
    {
      const std::lock_guard lock(mutex_);
      ++taken_;
    }
    changed_.notify_all();
  }
  return count;
}

// --- UploadContent ---

class UploadContent::Piece final : public io::ByteSource {
public:
  Piece(UploadContent& content, std::uint64_t begin, std::uint64_t end)
      : content_(content), at_(begin), end_(end) {}

  std::size_t read(std::span<std::byte> into) override {
    if (at_ == end_) {
      if (end_ == content_.size_ && content_.position_ == end_) {
        std::array<std::byte, 1> beyond{};
        if (content_.read(at_, beyond) != 0) {
          throw Error(ErrorCode::internal, "cannot push blob: it is longer than its own size");
        }
      }
      return 0;
    }
    const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), end_ - at_));
    const std::size_t count = content_.read(at_, into.first(room));
    if (count == 0) {
      throw Error(ErrorCode::internal, "cannot push blob: it ends before its own size");
    }
    at_ += count;
    return count;
  }

private:
  UploadContent& content_;
  std::uint64_t at_;
  std::uint64_t end_;
};

/// Hashes what it reads while that is in the cache of this core.
class UploadContent::Hashing final : public io::ByteSource {
public:
  Hashing(UploadContent& content, std::unique_ptr<io::ByteSource> source, std::uint64_t at)
      : content_(content), source_(std::move(source)), at_(at) {}

  std::size_t read(std::span<std::byte> into) override {
    const std::size_t count = source_->read(into);
    content_.hash(at_, into.first(count));
    at_ += count;
    return count;
  }

private:
  UploadContent& content_;
  std::unique_ptr<io::ByteSource> source_;
  std::uint64_t at_;
};

UploadContent::UploadContent(const blob::BlobSource& blob, Reading reading)
    : blob_(&blob), reading_(reading), size_(blob.descriptor().size_bytes),
      digest_(blob.descriptor().digest) {}

UploadContent::UploadContent(const blob::Recipe& recipe, Reading reading)
    : recipe_(&recipe), reading_(reading), size_(recipe.size()) {}

UploadContent::~UploadContent() {
  stream_.reset(); // its thread hashes into members that would be gone
}

std::unique_ptr<io::ByteSource> UploadContent::open(std::uint64_t begin, std::uint64_t end) {
  assert(begin <= end && end <= size_);
  failure_ = nullptr;
  if (!stream_ || position_ != begin) {
    // What was sent before `begin` need not be hashed yet: whoever takes may be ahead of whoever
    // hashes, by what the buffers hold.
    hash_up_to(begin, {});
    stream_.reset();
    stream_ = open_stream(begin);
    position_ = begin;
  }
  return std::make_unique<Piece>(*this, begin, end);
}

std::unique_ptr<io::ByteSource> UploadContent::open_stream(std::uint64_t begin) {
  if (recipe_ != nullptr) {
    assert(digest_ || hashed_ >= begin);
    if (reading_ == Reading::in_place) {
      return std::make_unique<Hashing>(*this, recipe_->open(begin), begin);
    }
    return std::make_unique<ReadAhead>(
        recipe_->open(begin), [this, at = begin](std::span<const std::byte> bytes) mutable {
          hash(at, bytes);
          at += bytes.size();
        });
  }
  auto source = blob_->open(begin);
  // A recipe's file goes straight into the sender's buffer. Others hash or fetch while they are
  // read.
  const bool is_direct = reading_ == Reading::in_place || size_ < whole_below_bytes ||
                         dynamic_cast<const blob::DerivedBlob*>(blob_) != nullptr;
  return is_direct ? std::move(source) : std::make_unique<ReadAhead>(std::move(source));
}

std::size_t UploadContent::read(std::uint64_t at, std::span<std::byte> into) {
  if (at != position_ || !stream_) {
    throw Error(ErrorCode::internal, "cannot push blob: two readers of one stream");
  }
  try {
    const std::size_t count = stream_->read(into);
    position_ += count;
    return count;
  } catch (...) {
    failure_ = std::current_exception();
    stream_.reset(); // a piece that starts here once more opens it anew
    throw;
  }
}

/// Bytes that go over the network again are not hashed again.
void UploadContent::hash(std::uint64_t at, std::span<const std::byte> bytes) {
  if (at + bytes.size() <= hashed_) {
    return;
  }
  hash_.update(bytes.subspan(static_cast<std::size_t>(hashed_ - at)));
  hashed_ = at + bytes.size();
}

void UploadContent::hash_up_to(std::uint64_t offset, const Operation& op) {
  if (digest_) {
    return;
  }
  stream_.reset();
  if (offset <= hashed_) {
    return;
  }
  const auto source = recipe_->open(hashed_);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(ReadAhead::buffer_bytes);
  while (hashed_ < offset) {
    op.check();
    const auto room = static_cast<std::size_t>(
        std::min<std::uint64_t>(ReadAhead::buffer_bytes, offset - hashed_));
    const std::size_t count = source->read({buffer.get(), room});
    if (count == 0) {
      throw Error(ErrorCode::internal, "cannot hash recipe: it ends before its own size");
    }
    hash(hashed_, {buffer.get(), count});
  }
  if (offset == size_) {
    // The read that finds the end lets the source make its last checks.
    static_cast<void>(source->read({buffer.get(), 1}));
  }
}

const oci::Digest& UploadContent::digest(const Operation& op) {
  if (!digest_) {
    hash_up_to(size_, op);
    digest_ = hash_.digest();
  }
  return *digest_;
}

} // namespace aipack::registry
