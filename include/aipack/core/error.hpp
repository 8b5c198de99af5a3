#pragma once

#include "aipack/core/export.hpp"

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack {

/// What the caller can do next: correct the input, look elsewhere, log in, try again, report a bug.
enum class ErrorCode {
  invalid_input,   ///< the request or a file given by the user is wrong
  not_found,       ///< a named thing does not exist
  already_exists,  ///< it exists and must not be overwritten
  unsupported,     ///< valid, but outside what aipack or the chosen runtime can do
  corrupt,         ///< bytes do not match their digest, signature or format
  unsatisfiable,   ///< no set of packages, or no runtime, fulfils the request
  unauthenticated, ///< no or wrong credentials
  denied,          ///< credentials are fine, the right is missing
  unavailable,     ///< network or server trouble: trying again may help
  io,              ///< the local file system failed
  cancelled,       ///< the caller asked to stop
  internal,        ///< a bug in aipack
};

/// The code's name as scripts see it, for example "not_found".
AIPACK_API std::string_view to_string(ErrorCode code) noexcept;

/// The one exception of aipack. `message()` reads *cannot VERB OBJECT: CAUSE*, in lower case,
/// without a full stop; secrets are redacted by whoever builds it. `context()` holds one frame per
/// component border, outermost last.
class AIPACK_API Error : public std::exception {
public:
  Error(ErrorCode code, std::string message);

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] const std::vector<std::string>& context() const noexcept { return context_; }
  /// One thing to do about it; empty when there is none.
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

  Error& add_context(std::string frame) &;
  Error&& with_hint(std::string hint) &&;

private:
  ErrorCode code_;
  std::string message_;
  std::vector<std::string> context_;
  std::string hint_;
};

/// A file that does not follow its format. `offset` is in bytes from the start of `file`.
class AIPACK_API FormatError : public Error {
public:
  FormatError(std::string file, std::optional<std::uint64_t> offset, std::string_view cause,
              ErrorCode code = ErrorCode::corrupt);

  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  [[nodiscard]] std::optional<std::uint64_t> offset() const noexcept { return offset_; }

private:
  std::string file_;
  std::optional<std::uint64_t> offset_;
};

/// Throws Error{io} (or denied, not_found where errno says so): "cannot ACTION: <strerror>". ENOSPC
/// and EDQUOT get a hint.
[[noreturn]] AIPACK_API void throw_errno(std::string_view action, int error_number);

/// Runs `fn`; an aipack::Error that leaves it carries `frame` ("while reading control of 'libfoo'")
/// as one more line of context.
template <class Fn>
decltype(auto) with_context(Fn&& fn, std::string_view frame) {
  try {
    return std::forward<Fn>(fn)();
  } catch (Error& error) {
    error.add_context(std::string(frame));
    throw;
  }
}

} // namespace aipack
