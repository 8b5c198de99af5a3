#include "aipack/core/text.hpp"
#include "aipack/http/http.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <random>

#include <curl/curl.h>
#include <fmt/format.h>

namespace aipack::http {
namespace {

std::string_view reason_of(int status) noexcept {
  switch (status) {
  case 400:
    return "bad request";
  case 401:
    return "unauthorized";
  case 403:
    return "forbidden";
  case 404:
    return "not found";
  case 407:
    return "proxy authentication required";
  case 408:
    return "request timeout";
  case 410:
    return "gone";
  case 416:
    return "range not satisfiable";
  case 429:
    return "too many requests";
  case 500:
    return "internal server error";
  case 502:
    return "bad gateway";
  case 503:
    return "service unavailable";
  case 504:
    return "gateway timeout";
  default:
    return "unexpected";
  }
}

std::string tries(unsigned count) {
  return count == 1 ? "" : fmt::format(" ({} tries)", count);
}

/// The same error that says how often it was tried.
Error with_tries(const Error& error, unsigned count) {
  Error result(error.code(), error.message() + tries(count));
  for (const std::string& frame : error.context()) {
    result.add_context(frame);
  }
  return error.hint().empty() ? result : std::move(result).with_hint(error.hint());
}

std::minstd_rand make_random() {
  return std::minstd_rand(std::random_device{}());
}

} // namespace

bool is_retryable_status(int status) noexcept {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  const std::time_t time = curl_getdate(std::string(text).c_str(), nullptr);
  return time < 0 ? std::nullopt : std::optional<std::int64_t>(time);
}

std::optional<std::chrono::milliseconds> retry_after(const Response& response) {
  const auto value = response.header("Retry-After");
  if (!value) {
    return std::nullopt;
  }
  constexpr std::int64_t most =
      24 * 60 * 60; // A longer wish is cut by every policy; no overflow in milliseconds.
  if (const auto seconds = parse_decimal(*value)) {
    return std::chrono::seconds(std::min<std::uint64_t>(*seconds, most));
  }
  const auto until = parse_http_date(*value);
  if (!until) {
    return std::nullopt;
  }
  // Relative to the server's own clock, which needs not be ours.
  std::optional<std::int64_t> now;
  if (const auto date = response.header("Date")) {
    now = parse_http_date(*date);
  }
  if (!now) {
    now = std::chrono::duration_cast<std::chrono::seconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count();
  }
  return std::chrono::seconds(std::clamp<std::int64_t>(*until - *now, 0, most));
}

std::chrono::milliseconds retry_delay(const RetryPolicy& policy, unsigned next_try,
                                      const Response* response) {
  const unsigned doublings = std::min(next_try < 2 ? 0U : next_try - 2, 20U);
  const auto full = std::min(policy.first_delay * (std::int64_t{1} << doublings), policy.max_delay);
  // Jitter, so that many clients of one mirror that failed together do not come back together.
  thread_local std::minstd_rand random = make_random();
  const std::chrono::milliseconds delay(
      std::uniform_int_distribution<std::int64_t>(full.count() / 2, full.count())(random));
  const auto asked = response == nullptr ? std::nullopt : retry_after(*response);
  return asked ? std::max(delay, std::min(*asked, policy.max_retry_after)) : delay;
}

void wait(std::chrono::milliseconds delay, const Operation& op) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, op.stop, delay, [] { return false; });
  op.check();
}

Error status_error(std::string_view verb, const Response& response) {
  ErrorCode code = ErrorCode::unavailable;
  if (response.status == 404 || response.status == 410) {
    code = ErrorCode::not_found;
  } else if (response.status == 401 || response.status == 407) {
    code = ErrorCode::unauthenticated;
  } else if (response.status == 403) {
    code = ErrorCode::denied;
  }
  return Error(code, fmt::format("cannot {} {}: the server answered {} ({})", verb,
                                 aipack::quoted(redacted_url(response.url)), response.status,
                                 reason_of(response.status)));
}

Response perform_with_retries(HttpTransport& transport, const Request& request, const Operation& op,
                              RetryPolicy policy) {
  for (unsigned attempt = 1;; ++attempt) {
    std::chrono::milliseconds delay{};
    try {
      Response response = transport.perform(request, op);
      if (!is_retryable_status(response.status) || attempt >= policy.attempts) {
        return response;
      }
      delay = retry_delay(policy, attempt + 1, &response);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) {
        throw;
      }
      if (attempt >= policy.attempts) {
        throw with_tries(error, attempt);
      }
      delay = retry_delay(policy, attempt + 1);
    }
    wait(delay, op);
  }
}

// --- download
// ---------------------------------------------------------------------------------------------------------------------

namespace {

/// One download over its tries: what has arrived, and by what the rest can be asked for.
class Download final : public io::ByteSink {
public:
  Download(const std::string& url, io::ByteSink& sink, const std::function<void()>& reset,
           std::uint64_t max_bytes, std::uint64_t have)
      : url_(url), sink_(sink), reset_(reset), max_bytes_(max_bytes), have_(have),
        continues_(have > 0 && have <= max_bytes) {}

  [[nodiscard]] Request next_request() {
    Request request;
    request.url = url_;
    request.sink = this;
    request.on_head = [this](const Response& head) { on_head(head); };
    if (have_ > 0 && !continues_) {
      start_over();
    }
    asked_from_ = have_;
    if (have_ > 0) {
      request.headers.push_back({"Range", fmt::format("bytes={}-", have_)});
      if (!validator_.empty()) {
        request.headers.push_back({"If-Range", validator_});
      }
    }
    return request;
  }

  void write(std::span<const std::byte> bytes) override {
    if (bytes.size() > max_bytes_ - have_) {
      throw too_large();
    }
    sink_.write(bytes);
    have_ += bytes.size();
  }

  void forget_range() noexcept { continues_ = false; }
  [[nodiscard]] bool asked_for_range() const noexcept { return asked_from_ > 0; }

private:
  [[nodiscard]] Error too_large() const {
    return Error(ErrorCode::corrupt, fmt::format("cannot download {}: larger than {} bytes",
                                                 aipack::quoted(redacted_url(url_)), max_bytes_));
  }

  void start_over() {
    reset_();
    have_ = 0;
  }

  void on_head(const Response& head) {
    if (head.status == 206) {
      check_range(head);
    } else if (have_ > 0) {
      start_over(); // The server sends everything: it knows no ranges, or the file is another one
                    // now.
    }
    if (const auto length = parse_decimal(head.header("Content-Length").value_or(""));
        length && *length > max_bytes_ - have_) {
      throw too_large();
    }
    // A weak validator says that two files mean the same, not that their bytes are the same.
    const std::string etag = head.header("ETag").value_or("");
    validator_ = !etag.empty() && etag.substr(0, 2) != "W/"
                     ? etag
                     : head.header("Last-Modified").value_or("");
    continues_ = !validator_.empty() && head.header("Accept-Ranges").value_or("bytes") != "none";
  }

  /// "bytes FIRST-LAST/TOTAL" must start where we stopped.
  void check_range(const Response& head) {
    const std::string range = head.header("Content-Range").value_or("");
    constexpr std::string_view unit = "bytes ";
    const std::size_t dash = range.find('-');
    const auto first =
        range.substr(0, unit.size()) == unit && dash != std::string::npos
            ? parse_decimal(std::string_view(range).substr(unit.size(), dash - unit.size()))
            : std::nullopt;
    if (!first || *first != have_ || asked_from_ == 0) {
      continues_ = false;
      throw Error(ErrorCode::unavailable,
                  fmt::format("cannot download {}: asked for bytes from {}, got {}",
                              aipack::quoted(redacted_url(url_)), asked_from_,
                              aipack::quoted(range)));
    }
  }

  const std::string& url_;
  io::ByteSink& sink_;
  const std::function<void()>& reset_;
  std::uint64_t max_bytes_;
  std::uint64_t have_;
  bool continues_;
  std::uint64_t asked_from_ = 0;
  std::string validator_{};
};

} // namespace

void download(HttpTransport& transport, const std::string& url, io::ByteSink& sink,
              const std::function<void()>& reset, std::uint64_t max_bytes, const Operation& op,
              RetryPolicy policy, std::uint64_t resume_from) {
  Download download(url, sink, reset, max_bytes, resume_from);
  for (unsigned attempt = 1;; ++attempt) {
    std::optional<Response> answer;
    try {
      answer = transport.perform(download.next_request(), op);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) {
        throw;
      }
      if (attempt >= policy.attempts) {
        throw with_tries(error, attempt);
      }
    }
    if (answer && (answer->status == 200 || answer->status == 206)) {
      return;
    }
    const bool bad_range = answer && answer->status == 416 && download.asked_for_range();
    if (answer &&
        ((!bad_range && !is_retryable_status(answer->status)) || attempt >= policy.attempts)) {
      throw with_tries(status_error("download", *answer), attempt);
    }
    if (bad_range) {
      download.forget_range(); // The file became shorter: all of it, at once.
      continue;
    }
    wait(retry_delay(policy, attempt + 1, answer ? &*answer : nullptr), op);
  }
}

} // namespace aipack::http
