#include "transfer.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <stop_token>
#include <string>

#include <fmt/format.h>

namespace aipack::http {
namespace {

/// How much is given to libcurl at once. Plain uploads to a loopback sink: 64 KiB 1.6 GB/s, 512 KiB
/// 3.7 GB/s, 2 MiB 2.3 GB/s. TLS cuts it into records of 16 KiB and is no faster with more than 64
/// KiB, but looks less often whether the server has refused meanwhile.
constexpr long upload_buffer_bytes = 512L << 10;
constexpr long secure_upload_buffer_bytes = 64L << 10;

/// RFC 9110, section 5.6.2.
bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

int status_of(CURL* easy, CURLINFO info) noexcept {
  long status = 0;
  curl_easy_getinfo(easy, info, &status);
  return static_cast<int>(status);
}

} // namespace

// --- the request
// ------------------------------------------------------------------------------------------------------------------

Transfer::Transfer(Line& line, const Request& request, const Operation& op)
    : line_(line), easy_(line.easy()), request_(request), op_(op), options_(easy_),
      upload_(request), stall_(request, Clock::now()) {
  response_.url = request.url;
  set_option(easy_, CURLOPT_ERRORBUFFER, detail_.data());
  set_option(easy_, CURLOPT_URL, request.url.c_str());
  set_option(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
  set_option(easy_, CURLOPT_HEADERFUNCTION, &header_callback);
  set_option(easy_, CURLOPT_HEADERDATA, this);
  set_option(easy_, CURLOPT_WRITEFUNCTION, &body_callback);
  set_option(easy_, CURLOPT_WRITEDATA, this);
  set_method_and_body();
  set_headers();
}

void Transfer::set_method_and_body() {
  if (!is_token(request_.method)) {
    throw Error(ErrorCode::invalid_input, fmt::format("cannot send request: {} is no method",
                                                      aipack::quoted(request_.method)));
  }
  if (request_.method == "HEAD") {
    set_option(easy_, CURLOPT_NOBODY, 1L);
    return;
  }
  // POST, PUT and PATCH without a body announce that it is empty, which servers demand.
  const bool has_body = request_.body || (request_.method != "GET" && request_.method != "DELETE");
  if (has_body) {
    const std::optional<std::uint64_t> length = request_.body ? request_.body_bytes : 0;
    if (length > std::uint64_t{INT64_MAX}) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot send request: a body of {} bytes", *length));
    }
    set_option(easy_, CURLOPT_UPLOAD, 1L);
    set_option(easy_, CURLOPT_UPLOAD_BUFFERSIZE,
               line_.origin().is_secure() ? secure_upload_buffer_bytes : upload_buffer_bytes);
    set_option(easy_, CURLOPT_INFILESIZE_LARGE,
               length ? static_cast<curl_off_t>(*length) : curl_off_t{-1});
    set_option(easy_, CURLOPT_READFUNCTION, &upload_callback);
    set_option(easy_, CURLOPT_READDATA, this);
    set_option(easy_, CURLOPT_SEEKFUNCTION, &seek_callback);
    set_option(easy_, CURLOPT_SEEKDATA, this);
  }
  if (has_body || request_.method != "GET") {
    set_option(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
}

void Transfer::set_headers() {
  const auto add = [&](const std::string& text) {
    curl_slist* longer = curl_slist_append(headers_.get(), text.c_str());
    if (longer == nullptr) {
      throw Error(ErrorCode::internal, "cannot build request headers: out of memory");
    }
    static_cast<void>(headers_.release());
    headers_.reset(longer);
  };
  for (const Header& header : request_.headers) {
    if (!is_token(header.name) ||
        header.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot send header {}: its name or value has a character that ends "
                              "or splits it",
                              aipack::quoted(header.name)));
    }
    // A semicolon is libcurl's way to send a header with an empty value.
    add(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
  }
  add("Expect:"); // Saves a round trip, and an answer 417; early answers are read as they come.
  set_option(easy_, CURLOPT_HTTPHEADER, headers_.get());
}

// --- libcurl calls back
// ------------------------------------------------------------------------------------------------------------------

template <class Fn>
bool Transfer::guarded(Fn&& fn) noexcept {
  const auto begin = Clock::now();
  try {
    op_.check();
    fn();
  } catch (...) {
    failure_ = std::current_exception();
  }
  own_time_ += Clock::now() - begin;
  return !failure_;
}

std::size_t Transfer::header_callback(char* data, std::size_t size, std::size_t count,
                                      void* transfer) noexcept {
  auto& self = *static_cast<Transfer*>(transfer);
  bool more = false;
  return self.guarded([&] {
    more = self.on_header({data, size * count});
  }) && more
             ? size * count
             : CURL_WRITEFUNC_ERROR;
}

std::size_t Transfer::body_callback(char* data, std::size_t size, std::size_t count,
                                    void* transfer) noexcept {
  auto& self = *static_cast<Transfer*>(transfer);
  bool more = false;
  return self.guarded([&] {
    more = self.on_body({data, size * count});
  }) && more
             ? size * count
             : CURL_WRITEFUNC_ERROR;
}

std::size_t Transfer::upload_callback(char* into, std::size_t size, std::size_t count,
                                      void* transfer) noexcept {
  auto& self = *static_cast<Transfer*>(transfer);
  std::size_t done = 0;
  return self.guarded([&] {
    done = self.on_upload({reinterpret_cast<std::byte*>(into), size * count});
  })
             ? done
             : CURL_READFUNC_ABORT;
}

/// libcurl rewinds a body when a reused connection turns out to be closed, before it connects anew:
/// where the body must not be repeated, not even the head of the request goes out again.
int Transfer::seek_callback(void* transfer, curl_off_t offset, int origin) noexcept {
  auto& self = *static_cast<Transfer*>(transfer);
  if (offset != 0 || origin != SEEK_SET) {
    return CURL_SEEKFUNC_CANTSEEK;
  }
  self.held_.clear();
  return self.guarded([&] { self.upload_.rewind(); }) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

bool Transfer::on_header(std::string_view line) {
  answer_bytes_ += line.size();
  if (has_head_) {
    return true; // A trailer after the body: nothing of ours is in there.
  }
  if (line.substr(0, 5) == "HTTP/") {
    // An interim response (100, 103) came before.
    response_.headers.clear();
    header_bytes_ = 0;
    return true;
  }
  if (trim(line).empty()) {
    return on_head();
  }
  header_bytes_ += line.size();
  if (header_bytes_ > max_response_header_bytes ||
      response_.headers.size() == max_response_headers) {
    throw error(ErrorCode::unavailable, "too many response headers");
  }
  if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    response_.headers.push_back(
        {std::string(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1)))});
  }
  return true;
}

bool Transfer::on_head() {
  const int status = status_of(easy_, CURLINFO_RESPONSE_CODE);
  if (status < 200) {
    return true;
  }
  has_head_ = true;
  response_.status = status;
  if (status < 300 && request_.on_head) {
    request_.on_head(response_);
  }
  // Whoever sends us elsewhere does not want the body; libcurl would send all of it.
  const bool sends_elsewhere = status >= 300 && status < 400 && request_.body;
  return !sends_elsewhere || upload_.finished();
}

bool Transfer::on_body(std::string_view bytes) {
  received_ += bytes.size();
  if (response_.status / 100 != 2) {
    const std::size_t room = max_error_body_bytes - response_.body.size();
    response_.body += bytes.substr(0, room);
    return bytes.size() <= room; // An error with an endless body is not read to the end.
  }
  if (request_.sink != nullptr) {
    request_.sink->write(io::as_bytes(bytes));
    return true;
  }
  if (bytes.size() > request_.max_body_bytes - response_.body.size()) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot read {}: larger than {} bytes",
                            aipack::quoted(redacted_url(request_.url)), request_.max_body_bytes));
  }
  response_.body += bytes;
  return true;
}

std::size_t Transfer::on_upload(std::span<std::byte> into) {
  if (!held_.empty()) {
    const std::size_t count = std::min(held_.size(), into.size());
    std::copy_n(held_.begin(), count, into.begin());
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  if (!request_.body) {
    return 0;
  }
  const std::size_t count = upload_.read(into);
  if (count > 0 && line_.has_input()) {
    // Something has arrived meanwhile, perhaps a refusal and the end of the connection. To send now
    // would fail, and libcurl would drop the answer unread: it must look at that first.
    held_.assign(into.begin(), into.begin() + static_cast<std::ptrdiff_t>(count));
    paused_ = true;
    return CURL_READFUNC_PAUSE;
  }
  return count;
}

// --- from the first byte to the last
// ------------------------------------------------------------------------------------------------------------------

void Transfer::run() {
  if (request_.body && request_.body_bytes == 0) {
    static_cast<void>(upload_.read({})); // libcurl does not ask for an empty body's end
  }
  const CURLcode code = transfer();
  response_.sent_body_bytes = sent_body_bytes();
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  // The body of an error is only for people, and may well break off: whoever refuses an upload
  // closes the connection on it.
  if (code != CURLE_OK && !is_answered()) {
    throw error(code);
  }
}

CURLcode Transfer::transfer() {
  class Attached {
  public:
    Attached(CURLM* multi, CURL* easy) : multi_(multi), easy_(easy) {
      curl_multi_add_handle(multi_, easy_);
    }
    Attached(const Attached&) = delete;
    Attached& operator=(const Attached&) = delete;
    ~Attached() { curl_multi_remove_handle(multi_, easy_); }

  private:
    CURLM* multi_;
    CURL* easy_;
  };
  const Attached attached(line_.multi(), easy_);
  const std::stop_callback wake(op_.stop, [&] { curl_multi_wakeup(line_.multi()); });
  for (;;) {
    int running = 0;
    if (const CURLMcode code = curl_multi_perform(line_.multi(), &running); code != CURLM_OK) {
      throw Error(ErrorCode::internal,
                  fmt::format("cannot run libcurl: {}", curl_multi_strerror(code)));
    }
    if (running == 0) {
      int left = 0;
      const CURLMsg* message = curl_multi_info_read(line_.multi(), &left);
      return message == nullptr ? CURLE_FAILED_INIT : message->data.result;
    }
    if (paused_) {
      paused_ = false; // What had arrived was read above.
      curl_easy_pause(easy_, CURLPAUSE_CONT);
      continue;
    }
    op_.check();
    if (const auto reason = stalled()) {
      if (is_answered()) {
        return CURLE_OPERATION_TIMEDOUT;
      }
      throw error(ErrorCode::unavailable, *reason)
          .with_hint("check the network, or try again later");
    }
    const auto rest =
        std::chrono::duration_cast<std::chrono::milliseconds>(stall_.deadline() - network_time());
    // Acknowledgements wake nobody: once a second they are looked at.
    curl_multi_poll(line_.multi(), nullptr, 0,
                    static_cast<int>(std::clamp<std::int64_t>(rest.count() + 1, 1, 1000)), nullptr);
  }
}

StallWatch::Phase Transfer::phase() const noexcept {
  curl_off_t connected_after = 0;
  curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME_T, &connected_after);
  if (connected_after == 0) {
    return StallWatch::Phase::connecting;
  }
  const bool changes_something = request_.method != "GET" && request_.method != "HEAD";
  const bool is_sent =
      !request_.body || (upload_.finished() && held_.empty() &&
                         sent_bytes() >= upload_.read_bytes() && line_.unacknowledged_bytes() == 0);
  return changes_something && is_sent && answer_bytes_ == 0 ? StallWatch::Phase::answering
                                                            : StallWatch::Phase::moving;
}

std::optional<std::string> Transfer::stalled() {
  // What the system still holds back has not moved: on a slow line that is minutes' worth.
  const auto moved = static_cast<std::int64_t>(sent_bytes() + received_ + answer_bytes_) -
                     static_cast<std::int64_t>(line_.unacknowledged_bytes());
  return stall_.check(phase(), moved, network_time());
}

std::uint64_t Transfer::sent_bytes() const noexcept {
  curl_off_t bytes = 0;
  curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &bytes);
  return bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
}

std::uint64_t Transfer::sent_body_bytes() const noexcept {
  return std::min(sent_bytes(), upload_.read_bytes());
}

Error Transfer::error(ErrorCode kind, std::string_view cause) const {
  const bool fetches = request_.method == "GET" || request_.method == "HEAD";
  return {kind, fmt::format("cannot {} {}: {}",
                            fetches ? "fetch" : fmt::format("send {} to", request_.method),
                            aipack::quoted(redacted_url(request_.url)), cause)};
}

Error Transfer::error(CURLcode code) const {
  const std::string_view said = trim(detail_.data());
  // Where libcurl quotes a proxy's URL, it does so with its password.
  const bool is_fit = !said.empty() && said.find_first_of("@?") == std::string_view::npos;
  const auto make = [&](ErrorCode kind) {
    return error(kind, is_fit ? said : curl_easy_strerror(code));
  };
  if (status_of(easy_, CURLINFO_HTTP_CONNECTCODE) == 407) {
    return make(ErrorCode::unauthenticated)
        .with_hint("give user and password in the proxy's URL: http://USER:PASSWORD@HOST:PORT");
  }
  switch (code) {
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL:
    return make(ErrorCode::invalid_input);
  case CURLE_SSL_CERTPROBLEM:
    return make(ErrorCode::invalid_input)
        .with_hint("the client certificate and its key must be PEM, belong together and not be "
                   "encrypted");
  case CURLE_OUT_OF_MEMORY:
  case CURLE_FAILED_INIT:
    return make(ErrorCode::internal);
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
    return make(ErrorCode::unavailable)
        .with_hint("if a proxy or a private authority is in between, name its certificates with "
                   "SSL_CERT_FILE");
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
    return make(ErrorCode::unavailable)
        .with_hint("check the host's name, the network and the proxy variables");
  default: // Of the hundred codes that libcurl has: the network or the server.
    return make(ErrorCode::unavailable).with_hint("check the network, or take another server");
  }
}

} // namespace aipack::http
