#pragma once

#include "aipack/core/error.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/http/message.hpp"

#include "line.hpp"
#include "stall_watch.hpp"
#include "upload.hpp"

#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::http {

/// One request and its answer over one line. libcurl calls back into it; no exception crosses
/// libcurl, but is kept and rethrown afterwards.
class Transfer {
public:
  /// Sets the options of the line that depend on the request; those of the transport are set
  /// before. Throws Error{invalid_input} for a method or header that cannot be sent.
  Transfer(Line& line, const Request& request, const Operation& op);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Runs to the end, to a stall or to the wish to stop. Called once.
  void run();
  /// What has arrived; after run() all of it.
  [[nodiscard]] Response& response() noexcept { return response_; }
  [[nodiscard]] std::uint64_t sent_body_bytes() const noexcept;
  [[nodiscard]] std::uint64_t received_body_bytes() const noexcept { return received_; }

private:
  using Clock = std::chrono::steady_clock;

  static std::size_t header_callback(char* data, std::size_t size, std::size_t count,
                                     void* transfer) noexcept;
  static std::size_t body_callback(char* data, std::size_t size, std::size_t count,
                                   void* transfer) noexcept;
  static std::size_t upload_callback(char* into, std::size_t size, std::size_t count,
                                     void* transfer) noexcept;
  static int seek_callback(void* transfer, curl_off_t offset, int origin) noexcept;
  /// Whether `fn` returned; what it throws is kept, what it took is not the network's fault.
  template <class Fn>
  bool guarded(Fn&& fn) noexcept;

  void set_method_and_body();
  void set_headers();

  /// False: enough of the response has arrived.
  [[nodiscard]] bool on_header(std::string_view line);
  [[nodiscard]] bool on_head();
  [[nodiscard]] bool on_body(std::string_view bytes);
  /// Returns the number of bytes, or CURL_READFUNC_PAUSE.
  [[nodiscard]] std::size_t on_upload(std::span<std::byte> into);

  [[nodiscard]] CURLcode transfer();
  /// Whether the answer says enough, even if the rest of it never comes: errors and redirects.
  [[nodiscard]] bool is_answered() const noexcept { return has_head_ && response_.status >= 300; }
  [[nodiscard]] std::optional<std::string> stalled();
  /// Of the body, with the frames of chunked coding around it.
  [[nodiscard]] std::uint64_t sent_bytes() const noexcept;
  [[nodiscard]] StallWatch::Phase phase() const noexcept;
  [[nodiscard]] StallWatch::Time network_time() const noexcept { return Clock::now() - own_time_; }
  [[nodiscard]] Error error(CURLcode code) const;
  [[nodiscard]] Error error(ErrorCode kind, std::string_view cause) const;

  /// The line's options point into this object, and must not longer than it lives.
  class Options {
  public:
    explicit Options(CURL* easy) noexcept : easy_(easy) {}
    ~Options() { curl_easy_reset(easy_); }
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;

  private:
    CURL* easy_;
  };

  Line& line_;
  CURL* const easy_;
  const Request& request_;
  const Operation& op_;
  std::array<char, CURL_ERROR_SIZE> detail_{};
  ListPtr headers_{};
  const Options options_;

  Upload upload_;
  std::vector<std::byte> held_{}; ///< read from the body and not yet given to libcurl
  bool paused_ = false;

  Response response_{};
  std::size_t header_bytes_ = 0;
  bool has_head_ = false;          ///< the final one: `response_` has status and headers
  std::uint64_t received_ = 0;     ///< of the body
  std::uint64_t answer_bytes_ = 0; ///< heads, interim ones as well

  Clock::duration own_time_{}; ///< spent in the caller's functions
  StallWatch stall_;
  std::exception_ptr failure_{};
};

} // namespace aipack::http
