#include "aipack/core/error.hpp"

#include "aipack/core/text.hpp"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace aipack {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
  case ErrorCode::invalid_input:
    return "invalid_input";
  case ErrorCode::not_found:
    return "not_found";
  case ErrorCode::already_exists:
    return "already_exists";
  case ErrorCode::unsupported:
    return "unsupported";
  case ErrorCode::corrupt:
    return "corrupt";
  case ErrorCode::unsatisfiable:
    return "unsatisfiable";
  case ErrorCode::unauthenticated:
    return "unauthenticated";
  case ErrorCode::denied:
    return "denied";
  case ErrorCode::unavailable:
    return "unavailable";
  case ErrorCode::io:
    return "io";
  case ErrorCode::cancelled:
    return "cancelled";
  case ErrorCode::internal:
    return "internal";
  }
  return "internal";
}

Error::Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

Error& Error::add_context(std::string frame) & {
  context_.push_back(std::move(frame));
  return *this;
}

Error&& Error::with_hint(std::string hint) && {
  hint_ = std::move(hint);
  return std::move(*this);
}

FormatError::FormatError(std::string file, std::optional<std::uint64_t> offset,
                         std::string_view cause, ErrorCode code)
    : Error(code, offset
                      ? fmt::format("cannot read {}: {} (at byte {})", quoted(file), cause, *offset)
                      : fmt::format("cannot read {}: {}", quoted(file), cause)),
      file_(std::move(file)), offset_(offset) {}

namespace {

ErrorCode code_of_errno(int error_number) noexcept {
  switch (error_number) {
  case ENOENT:
  case ENOTDIR:
    return ErrorCode::not_found;
  case EACCES:
  case EPERM:
    return ErrorCode::denied;
  case EEXIST:
    return ErrorCode::already_exists;
  default:
    return ErrorCode::io;
  }
}

/// strerror's sentence, in the house's lower case ("no such file or directory"; "RPC …" stays).
std::string errno_text(int error_number) {
  std::string text = std::generic_category().message(error_number);
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (text.size() > 1 && is_upper(text[0]) && !is_upper(text[1])) {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  return text;
}

} // namespace

void throw_errno(std::string_view action, int error_number) {
  Error error(code_of_errno(error_number),
              fmt::format("cannot {}: {}", action, errno_text(error_number)));
  if (error_number == ENOSPC) {
    throw std::move(error).with_hint(
        "free some space on that file system, or choose another directory");
  }
  if (error_number == EDQUOT) {
    throw std::move(error).with_hint(
        "free some of your disk quota, or choose a directory on another file system");
  }
  throw error;
}

} // namespace aipack
