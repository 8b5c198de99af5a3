#pragma once

#include "aipack/http/message.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

/// ASCII letters in lower case, whatever the locale; other bytes as they are.
[[nodiscard]] inline std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

/// The values of all headers of that name (lower case), in order.
[[nodiscard]] inline std::vector<std::string> all_headers(const http::Response& response,
                                                          std::string_view name) {
  std::vector<std::string> values;
  for (const http::Header& header : response.headers) {
    if (lower(header.name) == name) {
      values.push_back(header.value);
    }
  }
  return values;
}

} // namespace aipack::registry
