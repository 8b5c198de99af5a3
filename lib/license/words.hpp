#pragma once

#include <string>
#include <string_view>

namespace aipack::license {

/// ASCII only: names of licences are.
[[nodiscard]] inline std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return result;
}

/// The idstring of SPDX 2.3: letters, digits, "-" and ".".
[[nodiscard]] inline bool is_id_string(std::string_view text) noexcept {
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.';
    if (!plain) {
      return false;
    }
  }
  return !text.empty();
}

} // namespace aipack::license
