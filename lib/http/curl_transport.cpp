#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/http/transport.hpp"
#include "aipack/http/url.hpp"

#include "file_transport.hpp"
#include "line.hpp"
#include "transfer.hpp"
#include "trust.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>

namespace aipack::http {
namespace {

using Clock = std::chrono::steady_clock;

bool same_text(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_credential(const Header& header) noexcept {
  return same_text(header.name, "Authorization") || same_text(header.name, "Cookie") ||
         same_text(header.name, "Proxy-Authorization");
}

bool describes_body(const Header& header) noexcept {
  constexpr std::string_view prefix = "Content-";
  return same_text(std::string_view(header.name).substr(0, prefix.size()), prefix);
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

/// Changes `request` into the one that `response` asks for.
void follow(Request& request, const Response& response, std::string to) {
  if (!same_origin(request.url, to)) {
    std::erase_if(request.headers, is_credential);
  }
  request.url = std::move(to);
  const bool becomes_get =
      response.status == 303 ||
      ((response.status == 301 || response.status == 302) && request.method == "POST");
  if (becomes_get && request.method != "HEAD") {
    request.method = "GET";
    request.body = nullptr;
    request.body_bytes = 0;
    std::erase_if(request.headers, describes_body);
  }
}

class CurlTransport final : public HttpTransport {
public:
  explicit CurlTransport(TransportOptions options)
      : options_(std::move(options)), trust_(options_) {
    const UrlPtr url(curl_url());
    if (!options_.proxy.empty() &&
        (!url || curl_url_set(url.get(), CURLUPART_URL, options_.proxy.c_str(),
                              CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME) != CURLUE_OK)) {
      // Not quoted: a password with a character of URLs is the most likely mistake.
      throw Error(ErrorCode::invalid_input, "cannot use the proxy: its URL is not of the form "
                                            "http://USER:PASSWORD@HOST:PORT");
    }
  }

  Response perform(const Request& original, const Operation& op) override {
    if (original.url.substr(0, 7) == "file://") {
      return perform_file(original, op);
    }
    Request request = original;
    for (unsigned redirects = 0;; ++redirects) {
      Response response = exchange(request, op);
      response.redirects = redirects;
      const auto location = response.header("Location");
      if (!is_redirect(response.status) || !location || request.max_redirects == 0) {
        return response;
      }
      if (redirects == request.max_redirects) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("cannot fetch {}: more than {} redirects",
                                aipack::quoted(redacted_url(original.url)), request.max_redirects));
      }
      std::string to = redirect_target(request.url, *location);
      if (!options_.unix_socket.empty() && !same_origin(request.url, to)) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("cannot fetch {}: it redirects to {}, away from socket {}",
                                aipack::quoted(redacted_url(request.url)),
                                aipack::quoted(redacted_url(to)),
                                aipack::quoted(options_.unix_socket)));
      }
      if (request.on_redirect) {
        request.on_redirect(request.url, to);
      }
      follow(request, response, std::move(to));
    }
  }

private:
  Response exchange(const Request& request, const Operation& op) {
    op.check();
    auto line = lines_.take(Origin::of(request.url));
    configure(*line);
    Response response;
    {
      Transfer transfer(*line, request, op);
      const auto begin = Clock::now();
      try {
        transfer.run();
      } catch (...) {
        report(request, transfer, begin);
        throw; // The line is closed, not given back.
      }
      report(request, transfer, begin);
      response = std::move(transfer.response());
    }
    lines_.give_back(std::move(line));
    return response;
  }

  void report(const Request& request, Transfer& transfer, Clock::time_point begin) const {
    if (options_.observer) {
      options_.observer({.method = request.method,
                         .url = redacted_url(request.url),
                         .status = transfer.response().status,
                         .sent_bytes = transfer.sent_body_bytes(),
                         .received_bytes = transfer.received_body_bytes(),
                         .duration = std::chrono::duration_cast<std::chrono::microseconds>(
                             Clock::now() - begin)});
    }
  }

  /// What is the same for every request over `line`.
  void configure(Line& line) const {
    CURL* const easy = line.easy();
    line.watch_sockets();
    set_option(easy, CURLOPT_NOSIGNAL, 1L);
    set_option(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set_option(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set_option(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    // A line carries one request at a time, so that HTTP/2 would only add its frames and windows to
    // the same bytes; and several uploads over one connection would share one congestion window.
    set_option(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set_option(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
    set_option(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set_option(easy, CURLOPT_BUFFERSIZE, static_cast<long>(io::copy_buffer_bytes));
    if (!options_.unix_socket.empty()) {
      set_option(easy, CURLOPT_UNIX_SOCKET_PATH, options_.unix_socket.c_str());
      set_option(easy, CURLOPT_PROXY, "");
    } else if (!options_.proxy.empty()) {
      set_option(easy, CURLOPT_PROXY, options_.proxy.c_str());
    }
    trust_.apply(easy, line.origin());
  }

  const TransportOptions options_;
  const Trust trust_;
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
