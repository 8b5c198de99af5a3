#include "aipack/core/text.hpp"
#include "aipack/http/http.hpp"

#include "curl_handles.hpp"
#include "file_transport.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <mutex>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>

namespace aipack::http {
namespace {

using Clock = std::chrono::steady_clock;

bool same_text(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return lower(x) == lower(y);
  });
}

// --- URLs
// -------------------------------------------------------------------------------------------------------------------------

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Where a redirect leads. Throws for a place where no redirect may lead.
std::string redirect_target(const std::string& from, const std::string& location) {
  const auto refuse = [&](std::string_view why) {
    return Error(ErrorCode::unavailable, fmt::format("cannot fetch {}: it redirects to {}, {}",
                                                     aipack::quoted(redacted_url(from)),
                                                     aipack::quoted(redacted_url(location)), why));
  };
  std::string to;
  try {
    to = resolve_url(from, location);
  } catch (const Error&) {
    throw refuse("which is neither an http nor an https URL");
  }
  if (origin_of(from).is_secure() && !origin_of(to).is_secure()) {
    throw refuse("from https to http");
  }
  return to;
}

// --- connections
// ------------------------------------------------------------------------------------------------------------------

void set_up_curl() {
  // Process-wide state of libcurl that cannot be avoided; made by the first request, because it
  // costs milliseconds that `aipack version` does not have, and never undone, because another user
  // of libcurl in this process may live longer.
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      throw Error(ErrorCode::internal, "cannot set up libcurl");
    }
  });
}

/// An easy handle with a multi handle of its own: the multi's poll can be woken by a stop request
/// and by the stall deadline, where curl_easy_perform() would sleep up to a second. Connections,
/// DNS and TLS sessions live in the multi and are reused with it.
class Line {
public:
  Line() : multi_(curl_multi_init()), easy_(curl_easy_init()) {
    if (!multi_ || !easy_) {
      throw Error(ErrorCode::internal, "cannot set up libcurl: out of memory");
    }
  }

  [[nodiscard]] CURL* easy() const noexcept { return easy_.get(); }
  [[nodiscard]] CURLM* multi() const noexcept { return multi_.get(); }
  std::optional<Origin> last_origin{};

private:
  MultiPtr multi_;
  EasyPtr easy_;
};

/// Idle lines. Never more than there were requests at once, and never more than `max_idle`.
class Lines {
public:
  static constexpr std::size_t max_idle = 32;

  [[nodiscard]] std::unique_ptr<Line> take(const Origin& origin) {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        // One that talked to the same origin has an open connection, most likely.
        auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                  [&](const auto& line) { return line->last_origin == origin; });
        auto place = found == idle_.rend() ? idle_.end() - 1 : found.base() - 1;
        auto line = std::move(*place);
        idle_.erase(place);
        line->last_origin = origin;
        return line;
      }
    }
    set_up_curl();
    auto line = std::make_unique<Line>();
    line->last_origin = origin;
    return line;
  }

  void give_back(std::unique_ptr<Line> line) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < max_idle) {
      idle_.push_back(std::move(line));
    }
  }

private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Line>> idle_;
};

// --- one exchange
// -----------------------------------------------------------------------------------------------------------------

/// State that libcurl's callbacks share. No exception crosses libcurl: it is kept in `failure` and
/// rethrown afterwards.
struct Transfer {
  Transfer(const Request& request_, const Operation& op_, CURL* easy_)
      : request(request_), op(op_), easy(easy_) {}

  const Request& request;
  const Operation& op;
  CURL* easy;
  Response response{};
  std::size_t header_bytes = 0;
  bool head_delivered = false;
  bool error_body_cut = false;
  std::unique_ptr<io::ByteSource> upload{};
  std::uint64_t upload_at = 0;
  Clock::time_point last_byte = Clock::now();
  std::exception_ptr failure{};

  void deliver_head() {
    if (head_delivered) {
      return;
    }
    head_delivered = true;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    if (status / 100 == 2 && request.on_head) {
      request.on_head(response);
    }
  }

  /// Whether to go on.
  template <class Fn>
  bool guarded(Fn&& fn) noexcept {
    try {
      last_byte = Clock::now();
      op.check();
      return fn();
    } catch (...) {
      failure = std::current_exception();
      return false;
    }
  }

  bool on_header(std::string_view line) {
    if (line.substr(0, 5) == "HTTP/") {
      response.headers
          .clear(); // An interim response (100, 103) or a proxy's answer to CONNECT came before.
      header_bytes = 0;
      return true;
    }
    header_bytes += line.size();
    if (header_bytes > max_response_header_bytes ||
        response.headers.size() == max_response_headers) {
      throw Error(ErrorCode::unavailable, fmt::format("cannot fetch {}: too many response headers",
                                                      aipack::quoted(redacted_url(request.url))));
    }
    if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
      response.headers.push_back(
          {std::string(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1)))});
    }
    return true;
  }

  bool on_body(std::string_view bytes) {
    deliver_head();
    if (response.status / 100 != 2) {
      const std::uint64_t room = max_error_body_bytes - response.body.size();
      response.body +=
          bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(room, bytes.size())));
      error_body_cut = bytes.size() > room;
      return !error_body_cut; // Whoever answers an error with an endless body is not read to the
                              // end.
    }
    if (request.sink != nullptr) {
      request.sink->write(io::as_bytes(bytes));
      return true;
    }
    if (bytes.size() > request.max_body_bytes - response.body.size()) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot read {}: larger than {} bytes",
                              aipack::quoted(redacted_url(request.url)), request.max_body_bytes));
    }
    response.body += bytes;
    return true;
  }
};

std::size_t header_callback(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  auto& exchange = *static_cast<Transfer*>(user);
  return exchange.guarded([&] {
    return exchange.on_header({data, size * count});
  })
             ? size * count
             : CURL_WRITEFUNC_ERROR;
}

std::size_t body_callback(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  auto& exchange = *static_cast<Transfer*>(user);
  return exchange.guarded([&] {
    return exchange.on_body({data, size * count});
  })
             ? size * count
             : CURL_WRITEFUNC_ERROR;
}

std::size_t upload_callback(char* into, std::size_t size, std::size_t count, void* user) noexcept {
  auto& exchange = *static_cast<Transfer*>(user);
  std::size_t done = 0;
  const bool good = exchange.guarded([&] {
    if (!exchange.upload) {
      exchange.upload = exchange.request.body();
      exchange.upload_at = 0;
    }
    done = exchange.upload->read({reinterpret_cast<std::byte*>(into), size * count});
    exchange.upload_at += done;
    if (exchange.upload_at > exchange.request.body_bytes.value_or(UINT64_MAX)) {
      throw Error(ErrorCode::internal, "cannot send request body: longer than announced");
    }
    return true;
  });
  return good ? done : CURL_READFUNC_ABORT;
}

/// libcurl rewinds a body when a reused connection turns out to be closed.
int seek_callback(void* user, curl_off_t offset, int origin) noexcept {
  auto& exchange = *static_cast<Transfer*>(user);
  if (offset != 0 || origin != SEEK_SET) {
    return CURL_SEEKFUNC_CANTSEEK;
  }
  exchange.upload.reset();
  return CURL_SEEKFUNC_OK;
}

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  if (const CURLcode code = curl_easy_setopt(easy, option, value); code != CURLE_OK) {
    throw Error(ErrorCode::internal,
                fmt::format("cannot set libcurl option {}: {}", static_cast<int>(option),
                            curl_easy_strerror(code)));
  }
}

Error transfer_error(CURLcode code, const std::string& url, std::string_view detail) {
  const std::string cause(detail.empty() ? curl_easy_strerror(code) : trim(detail));
  const std::string message =
      fmt::format("cannot fetch {}: {}", aipack::quoted(redacted_url(url)), cause);
  switch (code) {
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL:
    return Error(ErrorCode::invalid_input, message);
  case CURLE_OUT_OF_MEMORY:
  case CURLE_FAILED_INIT:
    return Error(ErrorCode::internal, message);
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
    return Error(ErrorCode::unavailable, message)
        .with_hint("if a proxy or a private authority is in between, name its certificates with "
                   "SSL_CERT_FILE");
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
    return Error(ErrorCode::unavailable, message)
        .with_hint("check the host's name, the network and the proxy variables");
  default: // Of the hundred codes that libcurl has: the network or the server.
    return Error(ErrorCode::unavailable, message)
        .with_hint("check the network, or take another server");
  }
}

class CurlTransport final : public HttpTransport {
public:
  explicit CurlTransport(TransportOptions options) : options_(std::move(options)) {}

  Response perform(const Request& original, const Operation& op) override {
    if (original.url.substr(0, 7) == "file://") {
      return perform_file(original, op);
    }
    Request request = original;
    const Origin first = origin_of(request.url);
    for (unsigned redirects = 0;; ++redirects) {
      Response response = exchange(request, op);
      const auto location = response.header("Location");
      if (!is_redirect(response.status) || !location) {
        return response;
      }
      if (redirects == request.max_redirects) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("cannot fetch {}: more than {} redirects",
                                aipack::quoted(redacted_url(original.url)), request.max_redirects));
      }
      request.url = redirect_target(request.url, *location);
      if (origin_of(request.url) != first) {
        std::erase_if(request.headers, [](const Header& header) {
          return same_text(header.name, "Authorization") || same_text(header.name, "Cookie") ||
                 same_text(header.name, "Proxy-Authorization");
        });
      }
      const bool becomes_get =
          response.status == 303 ||
          ((response.status == 301 || response.status == 302) && request.method == "POST");
      if (becomes_get && request.method != "HEAD") {
        request.method = "GET";
        request.body = nullptr;
        request.body_bytes = 0;
      }
    }
  }

private:
  Response exchange(const Request& request, const Operation& op) {
    op.check();
    auto line = lines_.take(origin_of(request.url));
    Response response =
        run(*line, request, op); // A line whose transfer failed is closed, not given back.
    lines_.give_back(std::move(line));
    return response;
  }

  Response run(Line& line, const Request& request, const Operation& op) {
    CURL* easy = line.easy();
    Transfer exchange(request, op, easy);
    std::array<char, CURL_ERROR_SIZE> detail{};
    const ListPtr headers = header_list(request);
    curl_easy_reset(easy);
    configure(easy, request, exchange, headers.get(), detail.data());

    const CURLcode code = transfer(line, exchange);

    // The buffers above end with this function; a later use of the handle starts with
    // curl_easy_reset().
    if (exchange.failure) {
      std::rethrow_exception(exchange.failure);
    }
    if (code != CURLE_OK && !exchange.error_body_cut) {
      throw transfer_error(code, request.url, detail.data());
    }
    exchange.deliver_head(); // A response without a body.
    if (exchange.failure) {
      std::rethrow_exception(exchange.failure);
    }
    exchange.response.url = request.url;
    return std::move(exchange.response);
  }

  static ListPtr header_list(const Request& request) {
    ListPtr list;
    const auto add = [&](const std::string& text) {
      curl_slist* longer = curl_slist_append(list.get(), text.c_str());
      if (longer == nullptr) {
        throw Error(ErrorCode::internal, "cannot build request headers: out of memory");
      }
      static_cast<void>(list.release());
      list.reset(longer);
    };
    for (const Header& header : request.headers) {
      if (header.name.find_first_of("\r\n:") != std::string::npos ||
          header.value.find_first_of("\r\n") != std::string::npos) {
        throw Error(
            ErrorCode::invalid_input,
            fmt::format("cannot send header {}: it has a line break", aipack::quoted(header.name)));
      }
      // A semicolon is libcurl's way to send a header with an empty value.
      add(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
    }
    add("Expect:"); // Saves a round trip; servers that refuse a body do so by closing.
    return list;
  }

  void configure(CURL* easy, const Request& request, Transfer& exchange, curl_slist* headers,
                 char* detail) {
    set(easy, CURLOPT_ERRORBUFFER, detail);
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(easy, CURLOPT_URL, request.url.c_str());
    set(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
    set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(easy, CURLOPT_HTTPHEADER, headers);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_BUFFERSIZE, static_cast<long>(io::copy_buffer_bytes));
    set(easy, CURLOPT_UPLOAD_BUFFERSIZE, static_cast<long>(io::copy_buffer_bytes));
    set(easy, CURLOPT_HEADERFUNCTION, &header_callback);
    set(easy, CURLOPT_HEADERDATA, &exchange);
    set(easy, CURLOPT_WRITEFUNCTION, &body_callback);
    set(easy, CURLOPT_WRITEDATA, &exchange);
    if (request.body) {
      set(easy, CURLOPT_UPLOAD, 1L);
      set(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body_bytes.value_or(0)));
      set(easy, CURLOPT_READFUNCTION, &upload_callback);
      set(easy, CURLOPT_READDATA, &exchange);
      set(easy, CURLOPT_SEEKFUNCTION, &seek_callback);
      set(easy, CURLOPT_SEEKDATA, &exchange);
    } else if (request.method == "HEAD") {
      set(easy, CURLOPT_NOBODY, 1L);
    } else if (request.method != "GET" && request.method != "DELETE") {
      set(easy, CURLOPT_POST,
          1L); // Sends "Content-Length: 0", which servers demand of POST, PUT and PATCH.
      set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(0));
      set(easy, CURLOPT_POSTFIELDS, "");
    }
    if (request.method != "GET" && request.method != "HEAD") {
      set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
  }

  /// Runs the transfer to its end, its stall or the wish to stop.
  static CURLcode transfer(Line& line, Transfer& exchange) {
    struct Attached {
      Attached(CURLM* multi, CURL* easy) : multi_(multi), easy_(easy) {
        curl_multi_add_handle(multi, easy);
      }
      Attached(const Attached&) = delete;
      ~Attached() { curl_multi_remove_handle(multi_, easy_); }
      CURLM* multi_;
      CURL* easy_;
    };
    const Attached attached(line.multi(), line.easy());
    const std::stop_callback wake(exchange.op.stop, [&] { curl_multi_wakeup(line.multi()); });
    for (;;) {
      int running = 0;
      if (const CURLMcode code = curl_multi_perform(line.multi(), &running); code != CURLM_OK) {
        throw Error(ErrorCode::internal,
                    fmt::format("cannot run libcurl: {}", curl_multi_strerror(code)));
      }
      if (running == 0) {
        int left = 0;
        const CURLMsg* message = curl_multi_info_read(line.multi(), &left);
        return message == nullptr ? CURLE_FAILED_INIT : message->data.result;
      }
      exchange.op.check();
      const auto idle =
          std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - exchange.last_byte);
      const auto rest = exchange.request.stall_timeout - idle;
      if (rest.count() <= 0) {
        throw Error(
            ErrorCode::unavailable,
            fmt::format("cannot fetch {}: no data for {} s",
                        aipack::quoted(redacted_url(exchange.request.url)),
                        static_cast<double>(exchange.request.stall_timeout.count()) / 1000));
      }
      curl_multi_poll(line.multi(), nullptr, 0,
                      static_cast<int>(std::min<std::int64_t>(rest.count() + 1, 1000)), nullptr);
    }
  }

  TransportOptions options_;
  Lines lines_;
};

} // namespace

std::unique_ptr<HttpTransport> make_transport(TransportOptions options) {
  return std::make_unique<CurlTransport>(std::move(options));
}

std::optional<std::string> Response::header(std::string_view name) const {
  for (const Header& header : headers) {
    if (same_text(header.name, name)) {
      return header.value;
    }
  }
  return std::nullopt;
}

} // namespace aipack::http
