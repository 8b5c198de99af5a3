#pragma once

#include <string>

namespace aipack::cli {

/// Asks on the terminal (not on stdin, which may be data) and reads one line. Throws
/// Error{invalid_input} without a terminal, with `otherwise` as its hint.
[[nodiscard]] std::string prompt(const std::string& question, const std::string& otherwise);
/// The same without showing what is typed.
[[nodiscard]] std::string prompt_secret(const std::string& question, const std::string& otherwise);
/// The first line of stdin; throws Error{invalid_input} when it is empty or longer than
/// max_secret_bytes.
[[nodiscard]] std::string read_secret_line();

inline constexpr std::size_t max_secret_bytes = std::size_t{64} << 10; ///< tokens may be long

} // namespace aipack::cli
