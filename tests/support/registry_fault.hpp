#pragma once

#include "support/registry_request.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::test {

/// What goes wrong with one request.
struct RegistryFault {
  enum class Kind {
    none,
    reset_in_request, ///< TCP reset when `at` bytes of the request's body were read
    stall_in_request, ///< reads no further for `stall`, then resets
    answer,           ///< `status` in place of the real reply; with `at` in the middle of the body
    lost_request,     ///< the body is read, nothing is done, TCP reset in place of the reply
    lost_answer,      ///< the request is carried out, TCP reset in place of the reply
    reset_in_reply,   ///< TCP reset when `at` bytes of the reply's body were sent
    stall_in_reply,   ///< sends no further for `stall`, then resets
    truncate_reply,   ///< closes in order, short of the announced length
    flip_reply,       ///< one bit of the byte at `at` is wrong
    redirect_loop,    ///< redirects without end, each to a new URL of the same origin
    wrong_range,      ///< Range and Content-Range of the reply are off by one
    wrong_length,     ///< Content-Length is off by `by`
    wrong_digest,     ///< Docker-Content-Digest of something else
  };
  Kind kind = Kind::none;
  std::optional<std::uint64_t> at{}; ///< offset in a body; absent: before it
  std::optional<double> share{};     ///< in place of `at`: this part of the body's length, 0..1
  std::chrono::milliseconds stall{2000};
  int status = 503;
  std::string code{};    ///< of the error body; empty: plain text
  std::string body{};    ///< in place of an error body
  Headers headers{};     ///< of the answer, besides those that belong to it
  bool bare_lf = false;  ///< header lines of the answer end in LF alone
  std::int64_t by = 1;   ///< for wrong_length
  bool challenge = true; ///< a 401 carries WWW-Authenticate, as a real one does

  [[nodiscard]] explicit operator bool() const noexcept { return kind != Kind::none; }

  // The common ones by name.
  static RegistryFault reset_at(std::uint64_t request_byte);
  static RegistryFault stall_at(std::uint64_t request_byte, std::chrono::milliseconds duration);
  static RegistryFault respond(int status, std::string code = {});
  static RegistryFault respond_at(std::uint64_t request_byte, int status, std::string code = {});
  /// 429 or 503 with Retry-After in seconds.
  static RegistryFault retry_after(std::chrono::seconds delay, int status = 429);
  /// The same as an HTTP-date, counted from now.
  static RegistryFault retry_at_date(std::chrono::seconds delay, int status = 429);
  /// 200 and a page for people, as captive portals and proxies send it.
  static RegistryFault html(int status = 200);
  static RegistryFault lost_answer();
  static RegistryFault lost_request();
  static RegistryFault truncate_at(std::uint64_t reply_byte);
  static RegistryFault flip_at(std::uint64_t reply_byte);
  static RegistryFault of(Kind kind);
  /// The kind that to_string() gives this name.
  static std::optional<Kind> find(std::string_view name);
};

[[nodiscard]] std::string_view to_string(RegistryFault::Kind kind) noexcept;

/// Decides about each request as soon as its head is read. Calls come one at a time.
using FaultPlan = std::function<RegistryFault(const RegistryRequest&)>;

/// Random faults from a seed. Whether a request fails depends on the seed, on what it asks for and
/// on how often that was asked before; not on the order of threads.
struct FaultStorm {
  std::uint64_t seed = 1;
  double rate = 0.2;           ///< part of the requests that fail, 0..1
  std::uint64_t budget = 1000; ///< faults in all; afterwards everything works
  unsigned in_a_row = 2;       ///< faults for one resource before it must work once
  std::chrono::milliseconds stall{300};
  /// What to choose from; empty: all kinds. Statuses are those of `statuses`.
  std::vector<RegistryFault::Kind> kinds{};
  std::vector<int> statuses{401, 408, 416, 429, 500, 502, 503, 504};
};

/// The plan that a storm stands for.
[[nodiscard]] FaultPlan make_plan(const FaultStorm& storm);

/// Faults for the n-th request (from 1) that `matches`; nothing else fails.
[[nodiscard]] FaultPlan fault_at(std::uint64_t n, RegistryFault fault,
                                 std::function<bool(const RegistryRequest&)> matches = {});

} // namespace aipack::test
