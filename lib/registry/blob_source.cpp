#include "blob_source.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/text.hpp"

#include "pipe.hpp"

#include <algorithm>
#include <stop_token>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

Error corrupt(const oci::Descriptor& descriptor, std::string_view why) {
  return Error(ErrorCode::corrupt,
               fmt::format("cannot read blob {}: {}", quoted(descriptor.digest.to_string()), why));
}

/// What a server sends for "everything from `offset` on", made to be that: of a whole blob the
/// beginning is dropped, and never more comes out than the descriptor promises.
class RangeSink final : public io::ByteSink {
public:
  RangeSink(const oci::Descriptor& descriptor, std::uint64_t offset, io::ByteSink& next)
      : descriptor_(descriptor), offset_(offset), at_(offset), next_(next) {}

  [[nodiscard]] bool has_begun() const noexcept { return has_begun_; }
  [[nodiscard]] bool has_wrong_range() const noexcept { return has_wrong_range_; }
  [[nodiscard]] std::uint64_t delivered() const noexcept {
    return at_ > offset_ ? at_ - offset_ : 0;
  }

  void on_head(const http::Response& head) {
    has_begun_ = true;
    if (head.status == 206) {
      check_range(head.header("Content-Range").value_or(""));
      return;
    }
    at_ = 0;
    const auto length = parse_decimal(head.header("Content-Length").value_or(""));
    if (length && *length != descriptor_.size_bytes) {
      throw corrupt(descriptor_, fmt::format("the server has {} bytes for it, not {}", *length,
                                             descriptor_.size_bytes));
    }
  }

  void write(std::span<const std::byte> bytes) override {
    if (bytes.size() > descriptor_.size_bytes - at_) {
      throw corrupt(descriptor_, fmt::format("it is longer than {} bytes", descriptor_.size_bytes));
    }
    const auto dropped = static_cast<std::size_t>(
        at_ < offset_ ? std::min<std::uint64_t>(offset_ - at_, bytes.size()) : 0);
    if (dropped < bytes.size()) {
      next_.write(bytes.subspan(dropped));
    }
    at_ += bytes.size();
  }

private:
  /// "bytes FIRST-LAST/TOTAL" (RFC 9110, 14.4) must begin where we asked it to.
  void check_range(std::string_view range) {
    constexpr std::string_view unit = "bytes ";
    const std::size_t dash = range.find('-');
    const auto first = range.starts_with(unit) && dash != std::string_view::npos
                           ? parse_decimal(range.substr(unit.size(), dash - unit.size()))
                           : std::nullopt;
    if (first != offset_) {
      has_wrong_range_ = true;
      throw Error(ErrorCode::unavailable,
                  fmt::format("cannot read blob {}: asked for bytes from {}, got {}",
                              quoted(descriptor_.digest.to_string()), offset_, quoted(range)));
    }
  }

  const oci::Descriptor& descriptor_;
  const std::uint64_t offset_;
  std::uint64_t at_; ///< in the blob, of the next byte that comes
  io::ByteSink& next_;
  bool has_begun_ = false;
  bool has_wrong_range_ = false;
};

Call blob_call(Session& session, const oci::Descriptor& descriptor, const char* method) {
  const std::string digest = descriptor.digest.to_string();
  Call call;
  call.verb = "read blob " + quoted(digest);
  call.method = method;
  call.target = api_path(session.endpoint().repository, "blobs", digest);
  return call;
}

using Sessions = std::vector<std::shared_ptr<Session>>;

/// Brings everything from `offset` on into `sink`, in order, from the first session that can; goes
/// on where a transfer broke off.
void transfer(const Sessions& sessions, const Patience& patience, const oci::Descriptor& descriptor,
              std::uint64_t offset, io::ByteSink& sink, const Operation& op) {
  const http::RetryPolicy policy{.attempts = std::max(patience.attempts, 1U),
                                 .first_delay = patience.first_delay,
                                 .max_delay = patience.max_delay};
  std::uint64_t at = offset;
  auto session = sessions.begin();
  bool asks_ranges = true;
  for (unsigned tries = 1; at < descriptor.size_bytes;) {
    RangeSink range(descriptor, at, sink);
    Call call = blob_call(**session, descriptor, "GET");
    call.pace = Pace::reader;
    call.accepted = {200, 206};
    if (at > 0 && asks_ranges) {
      call.headers = {{"Range", fmt::format("bytes={}-", at)}};
    }
    call.transfer.sink = &range;
    call.transfer.on_head = [&range](const http::Response& head) { range.on_head(head); };
    try {
      (*session)->send(call, op);
      if (range.delivered() == 0) {
        throw corrupt(descriptor,
                      fmt::format("it ends after {} of {} bytes", at, descriptor.size_bytes));
      }
    } catch (const Error& error) {
      op.check();
      tries = range.delivered() > 0 ? 1 : tries + 1;
      asks_ranges = asks_ranges && !range.has_wrong_range();
      // Requests without an answer were repeated by the session; one that broke off is up to us.
      const bool goes_on =
          error.code() == ErrorCode::unavailable && range.has_begun() && tries <= policy.attempts;
      const bool goes_elsewhere = !goes_on && std::next(session) != sessions.end();
      if (!goes_on && !goes_elsewhere) {
        throw;
      }
      if (goes_elsewhere) {
        ++session;
        tries = 1;
        asks_ranges = true;
      } else {
        http::wait(http::retry_delay(policy, tries + 1), op);
      }
    }
    at += range.delivered();
  }
}

/// A transfer on a thread of its own, pulled by whoever reads. The thread begins with the first
/// read and ends before the source does.
class RemoteSource final : public io::ByteSource {
public:
  RemoteSource(Sessions sessions, const Patience& patience, oci::Descriptor descriptor,
               std::uint64_t offset, const Operation& op)
      : sessions_(std::move(sessions)), patience_(patience), descriptor_(std::move(descriptor)),
        offset_(offset), op_(op), pipe_(stop_.get_token()) {}

  ~RemoteSource() override { stop_.request_stop(); } // before the thread is joined

  std::size_t read(std::span<std::byte> into) override {
    op_.check();
    if (!thread_.joinable()) {
      thread_ = std::jthread([this] { run(); });
    }
    return pipe_.read(into);
  }

private:
  void run() noexcept {
    try {
      const std::stop_callback forward(op_.stop, [this] { stop_.request_stop(); });
      transfer(sessions_, patience_, descriptor_, offset_, pipe_,
               {stop_.get_token(), op_.progress, op_.parent});
      pipe_.close(nullptr);
    } catch (...) {
      pipe_.close(std::current_exception());
    }
  }

  const Sessions sessions_;
  const Patience patience_;
  const oci::Descriptor descriptor_;
  const std::uint64_t offset_;
  const Operation& op_;
  std::stop_source stop_;
  Pipe pipe_;
  std::jthread thread_; // last: joined first
};

class RemoteBlob final : public blob::BlobSource {
public:
  RemoteBlob(Sessions sessions, const Patience& patience, oci::Descriptor descriptor,
             const Operation& op)
      : sessions_(std::move(sessions)), patience_(patience), descriptor_(std::move(descriptor)),
        op_(op) {}

  [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override { return descriptor_; }

  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
    if (offset > descriptor_.size_bytes) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read blob {} from byte {}: it has {}",
                              quoted(descriptor_.digest.to_string()), offset,
                              descriptor_.size_bytes));
    }
    auto source = std::make_unique<RemoteSource>(sessions_, patience_, descriptor_, offset, op_);
    if (offset != 0) {
      return source;
    }
    return std::make_unique<codec::VerifyingSource>(std::move(source), descriptor_.digest,
                                                    descriptor_.size_bytes,
                                                    "blob " + descriptor_.digest.to_string());
  }

private:
  Sessions sessions_;
  Patience patience_;
  oci::Descriptor descriptor_;
  const Operation& op_;
};

} // namespace

blob::BlobPtr remote_blob(std::vector<std::shared_ptr<Session>> sessions, const Patience& patience,
                          const oci::Descriptor& descriptor, const Operation& op) {
  return std::make_shared<RemoteBlob>(std::move(sessions), patience, descriptor, op);
}

bool has_blob(Session& session, const oci::Descriptor& descriptor, const Operation& op) {
  Call call = blob_call(session, descriptor, "HEAD");
  call.verb = "look for blob " + quoted(descriptor.digest.to_string());
  call.accepted = {200, 404, 405, 501};
  http::Response head = session.send(call, op);
  if (head.status == 405 || head.status == 501) { // no HEAD: the first byte will do
    struct Enough {};
    call.method = "GET";
    call.headers = {{"Range", "bytes=0-0"}};
    call.accepted = {200, 206, 404, 416};
    call.transfer.on_head = [&head](const http::Response& answer) {
      head.status = answer.status;
      throw Enough{};
    };
    try {
      head = session.send(call, op);
    } catch (const Enough&) {
      return true;
    }
  }
  const auto length = parse_decimal(head.header("Content-Length").value_or(""));
  const bool has_other_size =
      head.status == 200 && length && *length != 0 && *length != descriptor.size_bytes;
  return head.status == 200 && !has_other_size;
}

} // namespace aipack::registry
