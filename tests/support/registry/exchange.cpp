#include "support/registry/exchange.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

namespace aipack::test {
namespace {

constexpr std::size_t max_head = std::size_t{64} << 10;
constexpr std::size_t max_headers = 256;
constexpr std::size_t block_size = std::size_t{256} << 10;
/// What is left of a body after an early reply is read up to this; beyond it the connection ends.
constexpr std::uint64_t max_drained = std::uint64_t{256} << 10;

using Kind = RegistryFault::Kind;

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::string* find(Headers& headers, std::string_view name) {
  for (auto& [key, value] : headers) {
    if (lower(key) == name) {
      return &value;
    }
  }
  return nullptr;
}

void set(Headers& headers, const std::string& name, std::string value) {
  if (std::string* old = find(headers, lower(name))) {
    *old = std::move(value);
  } else {
    headers.emplace_back(name, std::move(value));
  }
}

/// Whether this can be the beginning of a head. Clients that try TLS first wait for a plain answer.
bool can_be_head(std::string_view text) {
  const std::size_t line_end = text.find('\n');
  const bool method = text.empty() || (text.front() >= 'A' && text.front() <= 'Z');
  return method && text.size() <= max_head &&
         (line_end == std::string_view::npos ||
          text.substr(0, line_end).find(" HTTP/1.") != std::string_view::npos);
}

/// "0-9" becomes "0-10", "bytes 5-9/20" becomes "bytes 5-10/20".
void shift_range(std::string& range) {
  const std::size_t dash = range.find('-');
  const std::size_t end = std::min(range.find('/'), range.size());
  if (dash != std::string::npos && dash < end) {
    if (const auto last = parse_number(std::string_view(range).substr(dash + 1, end - dash - 1))) {
      range = range.substr(0, dash + 1) + std::to_string(*last + 1) + range.substr(end);
    }
  }
}

void falsify(Headers& headers, Kind kind) {
  if (kind == Kind::wrong_range) {
    for (const char* name : {"range", "content-range"}) {
      if (std::string* value = find(headers, name)) {
        shift_range(*value);
      }
    }
  } else if (kind == Kind::wrong_digest) {
    set(headers, "Docker-Content-Digest", Hasher::of("sha256", "something else"));
  }
}

} // namespace

std::string_view reason(int status) noexcept {
  static constexpr std::array<std::pair<int, std::string_view>, 34> reasons{{
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
  }};
  const auto* const found = std::find_if(reasons.begin(), reasons.end(),
                                         [&](const auto& item) { return item.first == status; });
  return found == reasons.end() ? "Unknown" : found->second;
}

// --- heads ---

bool HttpConnection::fill() {
  if (position_ == buffer_.size()) {
    buffer_.clear();
    position_ = 0;
  }
  std::array<char, 16384> block; // NOLINT: filled by receive
  const std::size_t got = wire_.receive(block);
  buffer_.append(block.data(), got);
  return got > 0;
}

HttpConnection::Head HttpConnection::read_head(RegistryRequest& into) {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n", position_)) == std::string::npos) {
    if (!can_be_head(std::string_view(buffer_).substr(position_))) {
      return Head::bad;
    }
    if (!fill()) {
      return Head::end;
    }
  }
  const bool good = parse_head(std::string_view(buffer_).substr(position_, end - position_), into);
  buffer_.erase(0, end + 4);
  position_ = 0;
  return good ? Head::good : Head::bad;
}

bool HttpConnection::parse_head(std::string_view head, RegistryRequest& into) {
  const std::string_view first = head.substr(0, head.find("\r\n"));
  const std::size_t space = first.find(' ');
  const std::size_t last = first.rfind(' ');
  if (space == std::string_view::npos || last == space) {
    return false;
  }
  into.method = first.substr(0, space);
  into.target = first.substr(space + 1, last - space - 1);
  const std::string_view version = first.substr(last + 1);
  if ((version != "HTTP/1.1" && version != "HTTP/1.0") || into.target.empty() ||
      into.method.empty() || into.target.find(' ') != std::string::npos) {
    return false;
  }
  for (std::size_t at = first.size(); at < head.size();) {
    const std::size_t begin = at + 2;
    at = std::min(head.find("\r\n", begin), head.size());
    const std::string_view line = head.substr(begin, at - begin);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || into.headers.size() == max_headers) {
      return false;
    }
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) {
      value.remove_prefix(1);
    }
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
      value.remove_suffix(1);
    }
    into.headers.emplace_back(line.substr(0, colon), value);
  }
  into.path = Target::parse(into.target).path;

  method_ = into.method;
  http_1_0_ = version == "HTTP/1.0";
  const std::string connection = lower(into.header("Connection").value_or(""));
  keep_alive_ = connection.find("close") == std::string::npos &&
                (!http_1_0_ || connection.find("keep-alive") != std::string::npos);
  wants_continue_ = lower(into.header("Expect").value_or("")) == "100-continue";
  const auto coding = into.header("Transfer-Encoding");
  const auto length = into.header("Content-Length");
  if ((coding && (lower(*coding) != "chunked" || length)) || (length && !parse_number(*length))) {
    return false;
  }
  chunked_ = coding.has_value();
  announced_ = length ? parse_number(*length) : std::nullopt;
  left_ = chunked_ ? 0 : announced_.value_or(0);
  body_done_ = !chunked_ && left_ == 0;
  first_chunk_ = true;
  received_ = 0;
  arrange({}, {}, RegistryDialect::Expect::obey, {}, {});
  return true;
}

void HttpConnection::refuse() {
  arrange({}, {}, RegistryDialect::Expect::obey, {}, {});
  method_.clear();
  keep_alive_ = false;
  wants_continue_ = false;
  body_done_ = false; // so that send() lets the rest come in before it closes
  chunked_ = true;
}

void HttpConnection::arrange(RegistryFault fault, Reply answer_in_body,
                             RegistryDialect::Expect expect, Count received, Count sent) {
  expect_ = expect;
  fault_ = std::move(fault);
  answer_in_body_ = std::move(answer_in_body);
  count_received_ = std::move(received);
  count_sent_ = std::move(sent);
  fault_at_.reset();
  const bool in_body = fault_.kind == Kind::reset_in_request ||
                       fault_.kind == Kind::stall_in_request || fault_.kind == Kind::answer;
  if (in_body) {
    fault_at_ = fault_.at.value_or(0);
    if (fault_.share) {
      fault_at_ =
          static_cast<std::uint64_t>(static_cast<double>(announced_.value_or(0)) * *fault_.share);
    }
  }
}

// --- request bodies ---

std::size_t HttpConnection::take(char* into, std::size_t most) {
  if (position_ < buffer_.size()) {
    const std::size_t got = std::min(most, buffer_.size() - position_);
    if (into != nullptr) {
      std::memcpy(into, buffer_.data() + position_, got);
    }
    position_ += got;
    return got;
  }
  if (into == nullptr && wire_.can_drop()) {
    return wire_.drop(most);
  }
  if (into == nullptr) {
    std::array<char, 16384> waste; // NOLINT: filled by receive
    return wire_.receive(std::span(waste).first(std::min(most, waste.size())));
  }
  return wire_.receive({into, most});
}

std::optional<std::string> HttpConnection::read_line(std::size_t most) {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n", position_)) == std::string::npos) {
    if (buffer_.size() - position_ > most || !fill()) {
      return std::nullopt;
    }
  }
  std::string line = buffer_.substr(position_, end - position_);
  position_ = end + 2;
  return line;
}

/// Opens the next chunk (RFC 9112, section 7.1). False at the last one, whose trailers are read.
bool HttpConnection::next_chunk() {
  if (!std::exchange(first_chunk_, false) && read_line(2) != "") {
    throw Disconnected{};
  }
  const auto line = read_line(1024);
  const auto size =
      line ? parse_hex(std::string_view(*line).substr(0, line->find(';'))) : std::nullopt;
  if (!size) {
    throw Disconnected{};
  }
  left_ = *size;
  if (left_ > 0) {
    return true;
  }
  for (auto trailer = read_line(max_head); trailer != ""; trailer = read_line(max_head)) {
    if (!trailer) {
      throw Disconnected{};
    }
  }
  return false;
}

void HttpConnection::before_reading(std::size_t& most) {
  if (std::exchange(wants_continue_, false) && expect_ == RegistryDialect::Expect::obey) {
    if (!wire_.send("HTTP/1.1 100 Continue\r\n\r\n")) {
      throw Disconnected{};
    }
  }
  if (!fault_at_) {
    return;
  }
  if (received_ < *fault_at_) {
    most = static_cast<std::size_t>(std::min<std::uint64_t>(most, *fault_at_ - received_));
    return;
  }
  fault_at_.reset();
  if (fault_.kind == Kind::answer) {
    throw Interrupted{answer_in_body_};
  }
  if (fault_.kind == Kind::stall_in_request) {
    wire_.stall(fault_.stall);
  }
  wire_.reset();
  throw Disconnected{};
}

std::size_t HttpConnection::pull(char* into, std::size_t most) {
  if (body_done_ || most == 0) {
    return 0;
  }
  before_reading(most);
  if (left_ == 0 && (!chunked_ || !next_chunk())) {
    body_done_ = true;
    return 0;
  }
  const std::size_t got =
      take(into, static_cast<std::size_t>(std::min<std::uint64_t>(most, left_)));
  if (got == 0) {
    body_done_ = true;
    throw Disconnected{};
  }
  left_ -= got;
  received_ += got;
  body_done_ = !chunked_ && left_ == 0;
  if (count_received_) {
    count_received_(got);
  }
  return got;
}

std::size_t HttpConnection::read(std::span<char> into) {
  return pull(into.data(), into.size());
}

std::size_t HttpConnection::skip(std::size_t most) {
  return pull(nullptr, most);
}

std::optional<std::string> HttpConnection::read_all(std::uint64_t most) {
  std::string out;
  std::array<char, 16384> block; // NOLINT: filled by read
  while (const std::size_t got = read(block)) {
    if (out.size() + got > most) {
      return std::nullopt;
    }
    out.append(block.data(), got);
  }
  return out;
}

void HttpConnection::drain() {
  while (skip(block_size) > 0) {
  }
}

// --- replies ---

bool HttpConnection::send(Reply reply, const RegistryDialect& dialect) {
  // A reply before the end of the body: the rest is read if it is short and on its way.
  const bool rest_is_short =
      body_done_ || (!wants_continue_ && !chunked_ && left_ <= max_drained && !fault_at_);
  const bool goes_on = keep_alive_ && dialect.keep_alive && rest_is_short;
  const bool empty = reply.status == 204 || reply.status == 304;
  std::uint64_t length = reply.content ? reply.length : reply.body.size();
  const bool chunked =
      !dialect.announces_length && method_ == "GET" && reply.status == 200 && !http_1_0_;
  falsify(reply.headers, fault_.kind);
  if (chunked) {
    set(reply.headers, "Transfer-Encoding", "chunked");
  } else if (!empty) {
    std::uint64_t announced = reply.announced.value_or(length);
    if (fault_.kind == Kind::wrong_length) {
      announced = fault_.by < 0 ? length - std::min(length, static_cast<std::uint64_t>(-fault_.by))
                                : length + static_cast<std::uint64_t>(fault_.by);
    }
    set(reply.headers, "Content-Length", std::to_string(announced));
  }
  if (!goes_on) {
    set(reply.headers, "Connection", "close");
  }
  for (const auto& warning : dialect.warnings) {
    reply.headers.emplace_back("Warning", warning);
  }

  const std::string_view line_end = reply.bare_lf ? "\n" : "\r\n";
  std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " ";
  head.append(reason(reply.status)).append(line_end);
  for (const auto& [name, value] : reply.headers) {
    head.append(name).append(": ").append(value).append(line_end);
  }
  head.append(line_end);
  const bool has_body = !empty && method_ != "HEAD";
  if (has_body && !chunked && !reply.content && fault_.kind == Kind::none) {
    if (count_sent_) {
      count_sent_(reply.body.size());
    }
    if (!wire_.send(head + reply.body)) { // small replies in one segment
      return false;
    }
  } else if (!wire_.send(head) || (has_body && !send_body(reply, length, chunked))) {
    return false;
  }
  if (has_body && reply.announced.value_or(length) > length) {
    return false;
  }
  if (fault_.kind == Kind::wrong_length && fault_.by > 0 && has_body) {
    return false; // the announced rest never comes
  }
  if (!goes_on && !body_done_) {
    wire_.linger(std::chrono::milliseconds(1000));
    return false;
  }
  if (goes_on && !body_done_) {
    drain();
  }
  return goes_on;
}

bool HttpConnection::send_body(const Reply& reply, std::uint64_t length, bool chunked) {
  if (!reply.content) {
    if (chunked) {
      std::array<char, 20> size{};
      const auto end = std::to_chars(size.begin(), size.end(), length, 16).ptr;
      return (length == 0 || (wire_.send(std::string(size.begin(), end) + "\r\n") &&
                              send_block(reply.body, 0, length) && wire_.send("\r\n"))) &&
             wire_.send("0\r\n\r\n");
    }
    return send_block(reply.body, 0, length);
  }
  const bool by_kernel =
      !chunked && fault_.kind == Kind::none && reply.content->file() >= 0 && wire_.can_send_file();
  std::string block(by_kernel ? 0 : block_size, '\0');
  for (std::uint64_t done = 0; done < length;) {
    const auto want = static_cast<std::size_t>(
        std::min<std::uint64_t>(by_kernel ? std::uint64_t{4} << 20 : block.size(), length - done));
    if (by_kernel) {
      if (count_sent_) {
        count_sent_(want);
      }
      if (!wire_.send_file(reply.content->file(), reply.offset + done, want)) {
        return false;
      }
    } else {
      if (reply.content->read(reply.offset + done, std::span(block).first(want)) != want) {
        return false;
      }
      std::array<char, 20> size{};
      const auto end = std::to_chars(size.begin(), size.end(), want, 16).ptr;
      if ((chunked && !wire_.send(std::string(size.begin(), end) + "\r\n")) ||
          !send_block(std::string_view(block).substr(0, want), done, length) ||
          (chunked && !wire_.send("\r\n"))) {
        return false;
      }
    }
    done += want;
  }
  return !chunked || wire_.send("0\r\n\r\n");
}

/// One block of a body, at `position` of `length`, with the fault that belongs there.
bool HttpConnection::send_block(std::string_view block, std::uint64_t position,
                                std::uint64_t length) {
  const auto send_counted = [&](std::string_view bytes) {
    if (count_sent_) {
      count_sent_(bytes.size());
    }
    return wire_.send(bytes);
  };
  std::uint64_t at = fault_.share
                         ? static_cast<std::uint64_t>(static_cast<double>(length) * *fault_.share)
                         : fault_.at.value_or(0);
  if (length > 0) {
    at = std::min(at, length - 1);
  }
  const bool here = at >= position && at - position < block.size();
  if (!here || length == 0) {
    return send_counted(block);
  }
  const auto offset = static_cast<std::size_t>(at - position);
  switch (fault_.kind) {
  case Kind::flip_reply: {
    std::string changed(block);
    changed[offset] = static_cast<char>(changed[offset] ^ 1);
    return send_counted(changed);
  }
  case Kind::truncate_reply:
    send_counted(block.substr(0, offset));
    return false;
  case Kind::stall_in_reply:
    if (send_counted(block.substr(0, offset))) {
      wire_.stall(fault_.stall);
    }
    wire_.reset();
    return false;
  case Kind::reset_in_reply:
    send_counted(block.substr(0, offset));
    wire_.reset();
    return false;
  default:
    return send_counted(block);
  }
}

} // namespace aipack::test
