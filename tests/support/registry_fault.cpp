#include "support/registry_fault.hpp"

#include <array>
#include <ctime>
#include <memory>
#include <utility>

namespace aipack::test {
namespace {

using Kind = RegistryFault::Kind;

/// RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", in whatever locale the test runs.
std::string http_date(std::chrono::system_clock::time_point when) {
  static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm tm{};
  ::gmtime_r(&seconds, &tm);
  const auto two = [](int n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  return std::string(days.at(static_cast<std::size_t>(tm.tm_wday))) + ", " + two(tm.tm_mday) + " " +
         months.at(static_cast<std::size_t>(tm.tm_mon)) + " " + std::to_string(tm.tm_year + 1900) +
         " " + two(tm.tm_hour) + ":" + two(tm.tm_min) + ":" + two(tm.tm_sec) + " GMT";
}

/// splitmix64: a well mixed number for each input.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

/// FNV-1a; std::hash is not the same everywhere.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325U;
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return value;
}

/// What a request is for, without what differs from run to run: session ids, states, signatures.
std::string resource(const RegistryRequest& request) {
  std::string path = request.path;
  if (!request.upload.empty()) {
    if (const auto at = path.find(request.upload); at != std::string::npos) {
      path.erase(at);
    }
  }
  return request.method + " " + path + " " + request.digest;
}

class Dice {
public:
  explicit Dice(std::uint64_t state) : state_(state) {}
  double share() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }

private:
  std::uint64_t next() { return mix(state_++); }
  std::uint64_t state_;
};

/// Whether a fault of this kind can be seen in this request. A flipped bit is dealt only where
/// the client has a digest to notice it with.
bool applies(Kind kind, const RegistryRequest& request) {
  const bool by_digest =
      request.method == "GET" && !request.digest.empty() && request.upload.empty();
  switch (kind) {
  case Kind::none:
    return false;
  case Kind::reset_in_request:
  case Kind::stall_in_request:
    return request.has_body();
  case Kind::reset_in_reply:
  case Kind::stall_in_reply:
  case Kind::truncate_reply:
  case Kind::wrong_length:
    return request.method == "GET";
  case Kind::flip_reply:
    return by_digest;
  case Kind::wrong_range:
    return !request.upload.empty() || request.header("Range").has_value();
  case Kind::wrong_digest:
    return by_digest || request.method == "HEAD";
  case Kind::answer:
  case Kind::lost_request:
  case Kind::lost_answer:
  case Kind::redirect_loop:
    return true;
  }
  return false;
}

constexpr std::array<std::pair<Kind, std::string_view>, 14> kinds{{
    {Kind::none, "none"},
    {Kind::reset_in_request, "reset_in_request"},
    {Kind::stall_in_request, "stall_in_request"},
    {Kind::answer, "answer"},
    {Kind::lost_request, "lost_request"},
    {Kind::lost_answer, "lost_answer"},
    {Kind::reset_in_reply, "reset_in_reply"},
    {Kind::stall_in_reply, "stall_in_reply"},
    {Kind::truncate_reply, "truncate_reply"},
    {Kind::flip_reply, "flip_reply"},
    {Kind::redirect_loop, "redirect_loop"},
    {Kind::wrong_range, "wrong_range"},
    {Kind::wrong_length, "wrong_length"},
    {Kind::wrong_digest, "wrong_digest"},
}};

struct Weather {
  FaultStorm storm;
  std::uint64_t done = 0;
  struct Resource {
    std::uint64_t asked = 0;
    unsigned in_a_row = 0;
  };
  std::map<std::string, Resource> resources{};

  RegistryFault operator()(const RegistryRequest& request) {
    const std::string name = resource(request);
    auto& here = resources[name];
    Dice dice(mix(storm.seed) ^ mix(hash(name) + ++here.asked));
    if (done >= storm.budget || here.in_a_row >= storm.in_a_row || dice.share() >= storm.rate) {
      here.in_a_row = 0;
      return {};
    }
    std::vector<Kind> choice;
    for (const auto& [kind, text] : kinds) {
      const bool wanted = storm.kinds.empty() || std::find(storm.kinds.begin(), storm.kinds.end(),
                                                           kind) != storm.kinds.end();
      if (wanted && applies(kind, request) && (kind != Kind::answer || !storm.statuses.empty())) {
        choice.push_back(kind);
      }
    }
    if (choice.empty()) {
      return {};
    }
    ++done;
    ++here.in_a_row;
    RegistryFault fault = RegistryFault::of(choice[dice.below(choice.size())]);
    fault.share = dice.share();
    fault.stall = storm.stall;
    if (fault.kind == Kind::answer) {
      fault.status = storm.statuses[dice.below(storm.statuses.size())];
      if (fault.status == 429 || (fault.status == 503 && dice.below(2) == 0)) {
        fault.headers.emplace_back("Retry-After", "0");
      }
      if (!request.has_body() || dice.below(2) == 0) {
        fault.share.reset(); // before the body
      }
    }
    return fault;
  }
};

} // namespace

std::string_view to_string(Kind kind) noexcept {
  for (const auto& [known, text] : kinds) {
    if (known == kind) {
      return text;
    }
  }
  return "none";
}

std::optional<Kind> RegistryFault::find(std::string_view name) {
  for (const auto& [kind, text] : kinds) {
    if (text == name) {
      return kind;
    }
  }
  return std::nullopt;
}

RegistryFault RegistryFault::of(Kind kind) {
  RegistryFault fault;
  fault.kind = kind;
  return fault;
}

RegistryFault RegistryFault::reset_at(std::uint64_t request_byte) {
  RegistryFault fault = of(Kind::reset_in_request);
  fault.at = request_byte;
  return fault;
}

RegistryFault RegistryFault::stall_at(std::uint64_t request_byte,
                                      std::chrono::milliseconds duration) {
  RegistryFault fault = of(Kind::stall_in_request);
  fault.at = request_byte;
  fault.stall = duration;
  return fault;
}

RegistryFault RegistryFault::respond(int status, std::string code) {
  RegistryFault fault = of(Kind::answer);
  fault.status = status;
  fault.code = std::move(code);
  return fault;
}

RegistryFault RegistryFault::respond_at(std::uint64_t request_byte, int status, std::string code) {
  RegistryFault fault = respond(status, std::move(code));
  fault.at = request_byte;
  return fault;
}

RegistryFault RegistryFault::retry_after(std::chrono::seconds delay, int status) {
  RegistryFault fault = respond(status, status == 429 ? "TOOMANYREQUESTS" : "");
  fault.headers.emplace_back("Retry-After", std::to_string(delay.count()));
  return fault;
}

RegistryFault RegistryFault::retry_at_date(std::chrono::seconds delay, int status) {
  RegistryFault fault = respond(status, status == 429 ? "TOOMANYREQUESTS" : "");
  fault.headers.emplace_back("Retry-After", http_date(std::chrono::system_clock::now() + delay));
  return fault;
}

RegistryFault RegistryFault::html(int status) {
  RegistryFault fault = respond(status);
  fault.headers.emplace_back("Content-Type", "text/html; charset=utf-8");
  fault.body = "<!DOCTYPE html><html><head><title>Sign in</title></head>"
               "<body><h1>Please sign in to this network</h1></body></html>\n";
  return fault;
}

RegistryFault RegistryFault::lost_answer() {
  return of(Kind::lost_answer);
}

RegistryFault RegistryFault::lost_request() {
  return of(Kind::lost_request);
}

RegistryFault RegistryFault::truncate_at(std::uint64_t reply_byte) {
  RegistryFault fault = of(Kind::truncate_reply);
  fault.at = reply_byte;
  return fault;
}

RegistryFault RegistryFault::flip_at(std::uint64_t reply_byte) {
  RegistryFault fault = of(Kind::flip_reply);
  fault.at = reply_byte;
  return fault;
}

FaultPlan make_plan(const FaultStorm& storm) {
  return [weather = std::make_shared<Weather>(Weather{storm})](const RegistryRequest& request) {
    return (*weather)(request);
  };
}

FaultPlan fault_at(std::uint64_t n, RegistryFault fault,
                   std::function<bool(const RegistryRequest&)> matches) {
  return [n, fault = std::move(fault), matches = std::move(matches),
          seen = std::make_shared<std::uint64_t>(0)](const RegistryRequest& request) {
    const bool counts = !matches || matches(request);
    return counts && ++*seen == n ? fault : RegistryFault{};
  };
}

} // namespace aipack::test
