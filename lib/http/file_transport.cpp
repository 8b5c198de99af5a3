#include "file_transport.hpp"

#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include <fmt/format.h>

namespace aipack::http {
namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// The path of "file:///path" or "file://localhost/path". Source: RFC 8089.
std::string path_of(const std::string& url) {
  const auto bad = [&](const char* why) {
    return Error(ErrorCode::invalid_input,
                 fmt::format("cannot read {}: {}", aipack::quoted(redacted_url(url)), why));
  };
  std::string_view rest = std::string_view(url).substr(std::string_view("file://").size());
  constexpr std::string_view localhost = "localhost/";
  if (rest.substr(0, localhost.size()) == localhost) {
    rest.remove_prefix(localhost.size() - 1);
  }
  if (rest.empty() || rest.front() != '/') {
    throw bad("a file URL has the form file:///path");
  }
  rest = rest.substr(0, rest.find_first_of("?#"));
  std::string path;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] != '%') {
      path += rest[i];
      continue;
    }
    const int high = i + 1 < rest.size() ? hex_value(rest[i + 1]) : -1;
    const int low = i + 2 < rest.size() ? hex_value(rest[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0)) {
      throw bad("a wrong percent escape");
    }
    path += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return path;
}

} // namespace

std::string file_url(std::string_view absolute_path) {
  std::string url = "file://";
  for (const char c : absolute_path) {
    const bool unreserved =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
        std::string_view("/-._~+:@!$&'()*,;=").find(c) != std::string_view::npos;
    url += unreserved ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return url;
}

Response perform_file(const Request& request, const Operation& op) {
  op.check();
  Response response;
  response.url = request.url;
  if (request.method != "GET" && request.method != "HEAD") {
    response.status = 405;
    return response;
  }
  const std::string path = path_of(request.url);
  std::shared_ptr<const io::File> file;
  try {
    file = std::make_shared<io::File>(io::File::open(path));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found && error.code() != ErrorCode::denied) {
      throw;
    }
    response.status = error.code() == ErrorCode::not_found ? 404 : 403;
    return response;
  }
  if (!file->is_regular()) {
    response.status = 404;
    return response;
  }
  const io::FileIdentity identity = file->identity();
  const std::string etag =
      fmt::format("\"{:x}-{:x}-{:x}\"", identity.inode, identity.size_bytes, identity.mtime_ns);
  response.headers = {{"ETag", etag}, {"Content-Length", std::to_string(identity.size_bytes)}};
  for (const Header& header : request.headers) {
    if (header.name == "If-None-Match" && header.value == etag) {
      response.status = 304;
      return response;
    }
  }
  response.status = 200;
  if (request.on_head) {
    request.on_head(response);
  }
  if (request.method == "HEAD") {
    return response;
  }
  io::FileSource source(file);
  if (request.sink != nullptr) {
    io::copy(source, *request.sink, op);
  } else {
    response.body =
        io::read_text(source, request.max_body_bytes, aipack::quoted(redacted_url(request.url)));
  }
  return response;
}

} // namespace aipack::http
