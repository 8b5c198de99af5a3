#pragma once

#include "support/registry/store.hpp"
#include "support/registry/text.hpp"
#include "support/registry/wire.hpp"
#include "support/registry_server.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace aipack::test {

struct Reply {
  int status = 200;
  Headers headers{};
  std::string body{};
  std::shared_ptr<const Content> content{}; ///< in place of `body`: `length` bytes from `offset`
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool bare_lf = false;
  std::optional<std::uint64_t> announced{}; ///< Content-Length, if it is to be wrong
};

/// The peer is gone, or a fault has cut the connection.
struct Disconnected {};

/// A reply in the middle of the request's body.
struct Interrupted {
  Reply reply;
};

/// HTTP/1.1 on one connection (RFC 9112): one exchange after the other.
class HttpConnection {
public:
  /// Called with the number of body bytes that have just been read or are about to be sent.
  using Count = std::function<void(std::uint64_t)>;

  explicit HttpConnection(Wire& wire) : wire_(wire) {}

  enum class Head { good, bad, end };
  /// Reads the head of the next request into method, target and headers.
  Head read_head(RegistryRequest& into);

  /// What happens while this exchange's bodies pass. Valid until the next read_head().
  void arrange(RegistryFault fault, Reply answer_in_body, RegistryDialect::Expect expect,
               Count received, Count sent);
  /// After a head that is none: nothing more can be made of what comes.
  void refuse();
  /// Whether this request wants a 100 from a server that gives none.
  [[nodiscard]] bool expectation_failed() const noexcept {
    return wants_continue_ && expect_ == RegistryDialect::Expect::reject;
  }

  /// The next bytes of the request's body; 0 at its end. Throws Disconnected or Interrupted.
  std::size_t read(std::span<char> into);
  /// As read(), but the bytes are thrown away, up to `most`.
  std::size_t skip(std::size_t most);
  [[nodiscard]] std::optional<std::uint64_t> announced() const noexcept { return announced_; }
  /// The whole body, if it is not longer than this.
  std::optional<std::string> read_all(std::uint64_t most);
  void drain();

  /// Sends it and says whether the connection goes on.
  bool send(Reply reply, const RegistryDialect& dialect);

private:
  bool fill();
  std::size_t take(char* into, std::size_t most);
  std::size_t pull(char* into, std::size_t most);
  bool next_chunk();
  std::optional<std::string> read_line(std::size_t most);
  void before_reading(std::size_t& most);
  bool send_body(const Reply& reply, std::uint64_t length, bool chunked);
  bool send_block(std::string_view block, std::uint64_t position, std::uint64_t length);
  bool parse_head(std::string_view head, RegistryRequest& into);

  Wire& wire_;
  RegistryDialect::Expect expect_ = RegistryDialect::Expect::obey;
  std::string buffer_; ///< received, not yet consumed, from position_
  std::size_t position_ = 0;

  // the current exchange
  std::string method_;
  bool http_1_0_ = false;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool wants_continue_ = false;
  bool body_done_ = true;
  std::optional<std::uint64_t> announced_;
  std::uint64_t left_ = 0; ///< of the body or of the chunk
  bool first_chunk_ = true;
  std::uint64_t received_ = 0;
  RegistryFault fault_;
  std::optional<std::uint64_t> fault_at_; ///< offset in the request's body
  Reply answer_in_body_;
  Count count_received_;
  Count count_sent_;
};

[[nodiscard]] std::string_view reason(int status) noexcept;

} // namespace aipack::test
