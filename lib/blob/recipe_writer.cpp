#include "recipe_writer.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <functional>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace aipack::blob {
namespace {

/// What O_DIRECT and clones are aligned to. Larger than any logical block size in use; a file
/// system with larger clone units refuses with EINVAL, and the bytes are copied.
constexpr std::uint64_t alignment = 4096;
constexpr std::size_t chunk_bytes = std::size_t{4} << 20;
constexpr std::size_t ring_chunks = 8; // 32 MiB in all
/// Below this the page cache takes the bytes faster than threads start.
constexpr std::uint64_t pipeline_from_bytes = 2 * chunk_bytes;
/// Shorter extents are not worth a system call and a fragment.
constexpr std::uint64_t clone_from_bytes = std::uint64_t{64} << 10;

constexpr std::uint64_t align_down(std::uint64_t value) noexcept {
  return value & ~(alignment - 1);
}

/// A part of the output, in bytes from its start.
struct Range {
  std::uint64_t begin;
  std::uint64_t end;
};

/// Shares the aligned extents of `recipe` with their files and returns what is left to be written,
/// in order.
///
/// Kernel's rule (generic_remap_file_range_prep): offsets must be multiples of the block size; a
/// length need not be one only when it ends at the source's end and does not lie inside the target.
/// The tail of an extent is copied instead, which is right in all cases.
std::vector<Range> clone_extents(const Recipe& recipe, io::File& out) {
  std::vector<Range> rest{{0, 0}};
  std::uint64_t at = 0;
  bool possible = true; // one refusal speaks for the whole file system pair
  for (const Recipe::Part& part : recipe.parts()) {
    const auto* extent = std::get_if<fs::FileExtent>(&part);
    const std::uint64_t length =
        extent != nullptr ? extent->size() : std::get<std::string>(part).size();
    if (possible && extent != nullptr && length >= clone_from_bytes && at % alignment == 0 &&
        extent->offset() % alignment == 0) {
      const io::File file = io::File::open(extent->file());
      extent->check_unchanged(file);
      file_clone_range range{};
      range.src_fd = file.fd();
      range.src_offset = extent->offset();
      range.src_length = align_down(length);
      range.dest_offset = at;
      possible = ::ioctl(out.fd(), FICLONERANGE, &range) == 0;
      if (possible) {
        extent->check_unchanged(file);
        rest.back().end = at;
        rest.push_back({at + range.src_length, 0});
      }
    }
    at += length;
  }
  rest.back().end = at;
  std::erase_if(rest, [](const Range& range) { return range.begin == range.end; });
  return rest;
}

std::uint64_t total(const std::vector<Range>& ranges) noexcept {
  std::uint64_t sum = 0;
  for (const Range& range : ranges) {
    sum += range.end - range.begin;
  }
  return sum;
}

/// Writes past the page cache where the file system lets it, so that packing a model neither evicts
/// everything else nor ends in a long fsync; else through it, with write-back begun at once when
/// the data must reach the disk anyway.
class ChunkWriter {
public:
  ChunkWriter(io::File& out, std::vector<Range> ranges, std::uint64_t size,
              io::Durability durability)
      : out_(out), ranges_(std::move(ranges)), durability_(durability) {
    const bool whole = ranges_.size() == 1 && ranges_[0].begin == 0 && ranges_[0].end == size;
    if (whole && size >= pipeline_from_bytes) {
      // A full disk shows now instead of after gigabytes, and direct writes into reserved blocks
      // need no allocation each.
      if (::fallocate(out_.fd(), 0, 0, static_cast<off_t>(size)) != 0 &&
          (errno == ENOSPC || errno == EDQUOT)) {
        throw_errno("write " + quoted(out_.name()), errno);
      }
      set_direct(true);
    }
  }

  void write(std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::uint64_t end = offset + bytes.size();
    for (const Range& range : ranges_) {
      const std::uint64_t from = std::max(offset, range.begin);
      const std::uint64_t to = std::min(end, range.end);
      if (from < to) {
        write_part(from, bytes.subspan(static_cast<std::size_t>(from - offset),
                                       static_cast<std::size_t>(to - from)));
      }
    }
  }

private:
  void write_part(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (direct_) {
      const std::size_t aligned = static_cast<std::size_t>(align_down(bytes.size()));
      const std::size_t done = write_direct(offset, bytes.first(aligned));
      offset += done;
      bytes = bytes.subspan(done);
      if (bytes.empty()) {
        return;
      }
      set_direct(false); // refused, or the unaligned end of the file
    }
    out_.write_at(offset, bytes);
    if (durability_ == io::Durability::synced) {
      ::sync_file_range(out_.fd(), static_cast<off_t>(offset), static_cast<off_t>(bytes.size()),
                        SYNC_FILE_RANGE_WRITE);
    }
  }

  /// How much went through before the file system refused, if it did.
  std::size_t write_direct(std::uint64_t offset, std::span<const std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::pwrite(out_.fd(), bytes.data() + done, bytes.size() - done,
                                     static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0 && errno == EINVAL) {
        break;
      }
      if (count < 0) {
        throw_errno("write " + quoted(out_.name()), errno);
      }
      done += static_cast<std::size_t>(count);
      if (count == 0 || done % alignment != 0) {
        break; // a short write that leaves direct I/O nothing aligned to go on with
      }
    }
    return done;
  }

  void set_direct(bool on) {
    const int flags = ::fcntl(out_.fd(), F_GETFL);
    direct_ = flags >= 0 &&
              ::fcntl(out_.fd(), F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0 && on;
  }

  io::File& out_;
  std::vector<Range> ranges_;
  io::Durability durability_;
  bool direct_ = false;
};

/// Reads `source` to its end, which must come after `size` bytes, and hands each chunk to both
/// consumers, which run side by side. Only `take_here` runs on the caller's thread.
class Pipeline {
public:
  using Consumer = std::function<void(std::uint64_t offset, std::span<const std::byte> bytes)>;

  Pipeline(io::ByteSource& source, std::uint64_t size)
      : source_(source), count_((size + chunk_bytes - 1) / chunk_bytes), size_(size) {
    memory_.reset(
        static_cast<std::byte*>(std::aligned_alloc(alignment, ring_chunks * chunk_bytes)));
    if (!memory_) {
      throw std::bad_alloc();
    }
  }

  /// False when the threads that it takes cannot be had: nothing was given to a consumer then.
  [[nodiscard]] bool run(const Consumer& take_beside, const Consumer& take_here,
                         const Operation& op) {
    bool started = false;
    {
      std::jthread reader;
      std::jthread writer;
      try {
        reader = std::jthread([&] { guarded([&] { read_all(); }); });
        writer = std::jthread([&] { guarded([&] { consume(beside_, take_beside, nullptr); }); });
        started = true;
      } catch (const std::system_error&) {
        fail(); // A process limit on threads. A reader that runs already must not wait for room.
      }
      if (started) {
        guarded([&] { consume(here_, take_here, &op); });
      }
    } // joined: nothing runs any more
    if (started && failure_) {
      std::rethrow_exception(failure_);
    }
    return started;
  }

private:
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };

  std::span<std::byte> chunk(std::uint64_t index) const noexcept {
    const std::uint64_t begin = index * chunk_bytes;
    return {memory_.get() + (index % ring_chunks) * chunk_bytes,
            static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes, size_ - begin))};
  }

  void read_all() {
    for (std::uint64_t index = 0; index < count_; ++index) {
      if (!wait([&] { return index < std::min(here_, beside_) + ring_chunks; })) {
        return;
      }
      if (io::fill(source_, chunk(index)) != chunk(index).size()) {
        throw Error(ErrorCode::internal, "cannot write recipe: it ends before its own size");
      }
      advance(read_);
    }
    // The read that finds the end lets the source make its last checks.
    std::array<std::byte, 1> beyond{};
    if (source_.read(beyond) != 0) {
      throw Error(ErrorCode::internal, "cannot write recipe: it is longer than its own size");
    }
  }

  void consume(std::uint64_t& taken, const Consumer& take, const Operation* op) {
    for (std::uint64_t index = 0; index < count_; ++index) {
      if (!wait([&] { return index < read_; })) {
        return;
      }
      if (op != nullptr) {
        op->check();
      }
      take(index * chunk_bytes, chunk(index));
      advance(taken);
    }
  }

  /// False: another thread failed.
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failure_ != nullptr || condition(); });
    return failure_ == nullptr;
  }

  void advance(std::uint64_t& counter) {
    {
      const std::lock_guard lock(mutex_);
      ++counter;
    }
    changed_.notify_all();
  }

  template <class Fn>
  void guarded(Fn fn) noexcept {
    try {
      fn();
    } catch (...) {
      fail();
    }
  }

  /// Ends the others with the exception that is being handled, if it is the first.
  void fail() noexcept {
    {
      const std::lock_guard lock(mutex_);
      if (!failure_) {
        failure_ = std::current_exception();
      }
    }
    changed_.notify_all();
  }

  io::ByteSource& source_;
  std::uint64_t count_;
  std::uint64_t size_;
  std::unique_ptr<std::byte[], Free> memory_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t read_ = 0; // chunks that each of the three has done with
  std::uint64_t beside_ = 0;
  std::uint64_t here_ = 0;
  std::exception_ptr failure_;
};

/// For what is too small for threads: one buffer, one thread.
void copy_range(io::ByteSource& source, const Range& range, ChunkWriter* writer,
                codec::Sha256* hash, Activity& activity, const Operation& op) {
  std::vector<std::byte> buffer(static_cast<std::size_t>(
      std::min<std::uint64_t>(io::copy_buffer_bytes, range.end - range.begin)));
  for (std::uint64_t at = range.begin; at < range.end;) {
    op.check();
    const auto wanted = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), range.end - at)));
    if (io::fill(source, wanted) != wanted.size()) {
      throw Error(ErrorCode::internal, "cannot write recipe: it ends before its own size");
    }
    if (hash != nullptr) {
      hash->update(wanted);
    }
    if (writer != nullptr) {
      writer->write(at, wanted);
    }
    at += wanted.size();
    activity.advance(wanted.size());
  }
}

} // namespace

bool try_clone_file(const io::File& source, io::File& out) noexcept {
  return ::ioctl(out.fd(), FICLONE, source.fd()) == 0;
}

RecipeWritten write_recipe(const Recipe& recipe, io::File& out, const RecipeWriteOptions& options,
                           const Operation& op) {
  op.check();
  const std::uint64_t size = recipe.size();
  Activity activity(op, options.hash ? "hash and write layer" : "write layer", size);
  const std::vector<Range> ranges = clone_extents(recipe, out);
  RecipeWritten written;
  written.cloned_bytes = size - total(ranges);
  ChunkWriter writer(out, ranges, size, options.durability);

  if (!options.hash && (written.cloned_bytes > 0 || size < pipeline_from_bytes)) {
    activity.advance(written.cloned_bytes);
    for (const Range& range : ranges) {
      copy_range(*recipe.open(range.begin), range, &writer, nullptr, activity, op);
    }
    return written;
  }

  codec::Sha256 hash;
  const auto by_threads = [&] {
    const auto source = recipe.open();
    return Pipeline(*source, size)
        .run([&](std::uint64_t offset,
                 std::span<const std::byte> bytes) { writer.write(offset, bytes); },
             [&](std::uint64_t, std::span<const std::byte> bytes) {
               if (options.hash) {
                 hash.update(bytes);
               }
               activity.advance(bytes.size());
             },
             op);
  };
  if (size < pipeline_from_bytes || !by_threads()) {
    copy_range(*recipe.open(), {0, size}, &writer, options.hash ? &hash : nullptr, activity, op);
  }
  if (options.hash) {
    written.digest = hash.digest();
  }
  return written;
}

} // namespace aipack::blob
