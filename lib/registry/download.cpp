#include "download.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"

#include "download_plan.hpp"
#include "partial_file.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 20;
/// A broken transfer that brought less is one that brought nothing: there must be an end.
constexpr std::uint64_t least_progress_bytes = std::uint64_t{64} << 10;
/// More is not a blob that anybody has; its map alone would be 16 MiB.
constexpr std::uint64_t max_blob_bytes = std::uint64_t{64} << 40;

std::string verb_for(const oci::Descriptor& descriptor) {
  return "pull blob " + quoted("sha256:" + descriptor.digest.short_hex());
}

Error corrupt(const oci::Descriptor& descriptor, const std::string& cause) {
  return Error(ErrorCode::corrupt, fmt::format("cannot {}: {}", verb_for(descriptor), cause));
}

/// A server that sends everything has sent what this lane wanted.
struct Enough {};

// --- large blobs ---

/// One attempt at a blob: lanes fetch ranges side by side into the partial file, and the hash
/// follows the blocks that are there from the start, while they are still in the page cache.
///
///     lane 0 ──► [0, 16)      [64, 80) …            ─┐
///     lane 1 ──────► [16, 32)      …                 ├─► partial file ─► SHA-256, in order
///     lane 2 ──────────► [32, 48)  …                ─┘
///
/// The first lane finds out whether the server knows ranges; the others wait for that answer.
class Attempt {
public:
  Attempt(Session& session, const Patience& patience, const oci::Descriptor& descriptor,
          PartialFile& file, DownloadReport& report, Activity& activity)
      : session_(session), patience_(patience), descriptor_(descriptor), file_(file),
        report_(report), activity_(activity) {}

  /// True when the bytes are those of the digest.
  bool run(unsigned lanes, const Operation& op) {
    range_bytes_ = lanes > 1 ? range_bytes(descriptor_.size_bytes, lanes) : UINT64_MAX;
    for_each_index(lanes + 1, lanes + 1, op, [&](std::size_t index, const Operation& inner) {
      if (index == lanes) {
        hash_all(inner);
      } else {
        run_lane(index, inner);
      }
    });
    return hash_.digest() == descriptor_.digest;
  }

private:
  class Sink;
  enum class Ranges { unknown, known, ignored };

  void run_lane(std::size_t lane, const Operation& op) {
    if (lane > 0 && !wait_for_ranges(op)) {
      return;
    }
    while (auto range = claim()) {
      fetch(*range, op);
    }
    // With everything there already nobody asked, and nobody needs to know.
    set_ranges(Ranges::known);
  }

  [[nodiscard]] std::optional<ByteRange> claim() {
    const std::lock_guard lock(mutex_);
    return file_.map().claim(range_bytes_);
  }

  bool wait_for_ranges(const Operation& op) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, op.stop, [&] { return ranges_ != Ranges::unknown; });
    op.check();
    return ranges_ == Ranges::known;
  }

  void set_ranges(Ranges ranges) {
    {
      const std::lock_guard lock(mutex_);
      if (ranges_ == Ranges::unknown) {
        ranges_ = ranges;
      }
    }
    changed_.notify_all();
  }

  void set_there(std::size_t block) {
    {
      const std::lock_guard lock(mutex_);
      file_.set(block);
    }
    changed_.notify_all();
  }

  /// Whether no other lane is at work, nor going to be.
  [[nodiscard]] bool is_alone() {
    const std::lock_guard lock(mutex_);
    return ranges_ == Ranges::ignored;
  }

  void count(std::uint64_t received) {
    const std::lock_guard lock(mutex_);
    report_.received_bytes += received;
  }

  void fetch(ByteRange range, const Operation& op);
  void hash_all(const Operation& op);

  Session& session_;
  const Patience& patience_;
  const oci::Descriptor& descriptor_;
  PartialFile& file_;
  DownloadReport& report_;
  Activity& activity_;
  std::uint64_t range_bytes_ = 0;
  codec::Sha256 hash_{};

  std::mutex mutex_; ///< of the map, the report and what follows
  std::condition_variable_any changed_;
  Ranges ranges_ = Ranges::unknown;
};

/// The body of one answer, from the place in the blob where it begins to be wanted.
class Attempt::Sink final : public io::ByteSink {
public:
  Sink(Attempt& attempt, ByteRange range, const Operation& op)
      : attempt_(attempt), op_(op), at_(range.begin), end_(range.end) {
    buffer_.reserve(buffer_bytes);
  }

  /// Before the first byte of an answer.
  void on_head(const http::Response& head) {
    const oci::Descriptor& descriptor = attempt_.descriptor_;
    const std::uint64_t size = descriptor.size_bytes;
    skip_ = 0;
    is_whole_ = head.status != 206;
    if (!is_whole_) {
      const auto range = parse_content_range(head.header("Content-Range").value_or(""));
      if (range && range->total.value_or(size) != size) {
        throw corrupt(descriptor, fmt::format("it has {} bytes, not {}", *range->total, size));
      }
      if (!range || range->range.begin != at_ || range->range.end > end_) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("cannot {}: asked for bytes {}-{}, got {}", verb_for(descriptor),
                                at_, end_ - 1, quoted(head.header("Content-Range").value_or(""))));
      }
      attempt_.set_ranges(Ranges::known);
      return;
    }
    const auto length = parse_decimal(head.header("Content-Length").value_or(""));
    if (length && *length != size) {
      throw corrupt(descriptor, fmt::format("it has {} bytes, not {}", *length, size));
    }
    skip_ = at_;
    attempt_.set_ranges(Ranges::ignored);
    if (attempt_.is_alone()) {
      end_ = size; // nobody else is going to fetch the rest
    }
  }

  void write(std::span<const std::byte> bytes) override {
    op_.check();
    attempt_.count(bytes.size());
    if (skip_ > 0) {
      const std::uint64_t dropped = std::min<std::uint64_t>(skip_, bytes.size());
      skip_ -= dropped;
      bytes = bytes.subspan(static_cast<std::size_t>(dropped));
    }
    const std::uint64_t room = end_ - at_ - buffer_.size();
    const bool too_much = bytes.size() > room;
    append(bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(room, bytes.size()))));
    if (too_much && is_whole_ && end_ < attempt_.descriptor_.size_bytes) {
      throw Enough{};
    }
    if (too_much) {
      throw corrupt(attempt_.descriptor_, "the registry sent more than there can be");
    }
  }

  void flush() {
    if (buffer_.empty()) {
      return;
    }
    attempt_.file_.write_at(at_, buffer_);
    const std::uint64_t before = at_;
    at_ += buffer_.size();
    attempt_.activity_.advance(buffer_.size());
    buffer_.clear();
    // A lane begins at a block and goes on without gaps, so that each block ends here once.
    for (std::uint64_t block = before / block_bytes; block < attempt_.file_.map().count();
         ++block) {
      const ByteRange range = attempt_.file_.map().range_of(static_cast<std::size_t>(block));
      if (range.end > at_) {
        break;
      }
      attempt_.set_there(static_cast<std::size_t>(block));
    }
  }

  [[nodiscard]] std::uint64_t at() const noexcept { return at_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return end_; }

private:
  void append(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto part = bytes.first(std::min(bytes.size(), buffer_bytes - buffer_.size()));
      buffer_.insert(buffer_.end(), part.begin(), part.end());
      bytes = bytes.subspan(part.size());
      if (buffer_.size() == buffer_bytes) {
        flush();
      }
    }
  }

  Attempt& attempt_;
  const Operation& op_;
  std::uint64_t at_; ///< of the first byte in the buffer
  std::uint64_t end_;
  std::uint64_t skip_ = 0;
  bool is_whole_ = false;
  std::vector<std::byte> buffer_;
};

void Attempt::fetch(ByteRange range, const Operation& op) {
  Sink sink(*this, range, op);
  unsigned failures = 0;
  while (sink.at() < sink.end()) {
    const std::uint64_t before = sink.at();
    bool begun = false;
    Call call{.verb = verb_for(descriptor_),
              .target =
                  api_path(session_.endpoint().repository, "blobs", descriptor_.digest.to_string()),
              .accepted = {200, 206}};
    if (before > 0 || sink.end() < descriptor_.size_bytes) {
      call.headers.push_back({"Range", fmt::format("bytes={}-{}", before, sink.end() - 1)});
    }
    call.transfer.sink = &sink;
    call.transfer.on_head = [&](const http::Response& head) {
      begun = true;
      sink.on_head(head);
    };
    std::exception_ptr failure;
    try {
      static_cast<void>(session_.send(call, op));
    } catch (const Enough&) {
    } catch (const Error& error) {
      const auto* answered = dynamic_cast<const RegistryError*>(&error);
      if (answered != nullptr && answered->answer().status == 416) {
        throw corrupt(descriptor_, fmt::format("it has less than {} bytes", sink.end()));
      }
      // Before the answer began, the session has tried as often as it pays.
      if (error.code() != ErrorCode::unavailable || !begun) {
        throw;
      }
      failure = std::current_exception();
    }
    sink.flush();
    if (sink.at() == sink.end()) {
      return;
    }
    failures = sink.at() >= before + least_progress_bytes ? 0 : failures + 1;
    if (failures >= patience_.attempts) {
      if (failure) {
        std::rethrow_exception(failure);
      }
      throw Error(ErrorCode::unavailable,
                  fmt::format("cannot {}: the registry sends less than was asked for",
                              verb_for(descriptor_)));
    }
    if (failure) {
      http::wait(http::retry_delay({.attempts = patience_.attempts,
                                    .first_delay = patience_.first_delay,
                                    .max_delay = patience_.max_delay,
                                    .max_retry_after = patience_.max_retry_after},
                                   failures + 1),
                 op);
    }
  }
}

void Attempt::hash_all(const Operation& op) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  for (std::size_t block = 0; block < file_.map().count(); ++block) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, op.stop, [&] { return file_.map().has(block); });
    }
    op.check();
    const ByteRange range = file_.map().range_of(block);
    for (std::uint64_t at = range.begin; at < range.end;) {
      const auto room =
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer_bytes, range.end - at));
      const std::size_t count = file_.read_at(at, {buffer.get(), room});
      if (count == 0) {
        throw Error(ErrorCode::io, fmt::format("cannot {}: its file was cut off meanwhile",
                                               verb_for(descriptor_)));
      }
      hash_.update({buffer.get(), count});
      at += count;
    }
  }
}

DownloadReport download_large(Session& session, const Patience& patience,
                              const oci::Descriptor& descriptor, blob::DirectoryStore& store,
                              const Operation& op) {
  DownloadReport report;
  PartialFile file = PartialFile::open(store, descriptor, op);
  if (store.contains(descriptor)) { // by the one whom we waited for
    file.remove();
    report.present = true;
    return report;
  }
  Activity activity(op, verb_for(descriptor), descriptor.size_bytes);
  report.resumed_bytes = file.map().bytes_there();
  activity.advance(report.resumed_bytes);
  const unsigned lanes = descriptor.size_bytes < parallel_from_bytes ? 1 : max_lanes;
  const auto attempt = [&](unsigned count) {
    return Attempt(session, patience, descriptor, file, report, activity)
        .run(count, activity.child());
  };
  try {
    bool good = false;
    try {
      good = attempt(lanes);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) {
        throw;
      }
    }
    if (!good) {
      // Once more, and as plainly as can be: a range may have been wrong, or what lay on the disk.
      file.reset();
      activity.restart();
      good = attempt(1);
    }
    if (!good) {
      throw corrupt(descriptor, "the bytes that arrive are not those of the digest")
          .with_hint("the registry's copy is damaged: push the image again");
    }
    file.give_to(store, descriptor);
  } catch (const Error& error) {
    const bool is_useless = error.code() == ErrorCode::corrupt || error.code() == ErrorCode::io ||
                            file.map().bytes_there() == 0;
    if (is_useless) {
      file.remove();
    }
    throw;
  }
  return report;
}

// --- small blobs ---

DownloadReport download_small(Session& session, const oci::Descriptor& descriptor,
                              blob::DirectoryStore& store, const Operation& op) {
  DownloadReport report;
  Activity activity(op, verb_for(descriptor), descriptor.size_bytes);
  Call call{.verb = verb_for(descriptor),
            .target =
                api_path(session.endpoint().repository, "blobs", descriptor.digest.to_string()),
            .accepted = {200}};
  call.transfer.max_body_bytes = descriptor.size_bytes;
  for (bool again = true;; again = false) {
    try {
      const http::Response response = session.send(call, activity.child());
      report.received_bytes += response.body.size();
      io::MemorySource source(io::as_bytes(response.body));
      store.put(descriptor, source, activity.child());
      activity.advance(response.body.size());
      return report;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt || !again) {
        throw;
      }
    }
  }
}

} // namespace

DownloadReport download_blob(Session& session, const Patience& patience,
                             const oci::Descriptor& descriptor, blob::DirectoryStore& store,
                             const Operation& op) {
  if (store.contains(descriptor)) {
    return {.present = true};
  }
  if (descriptor.size_bytes > max_blob_bytes) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot {}: {} bytes are more than any registry holds",
                            verb_for(descriptor), descriptor.size_bytes));
  }
  return descriptor.size_bytes < memory_below_bytes
             ? download_small(session, descriptor, store, op)
             : download_large(session, patience, descriptor, store, op);
}

} // namespace aipack::registry
