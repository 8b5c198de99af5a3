#pragma once

#include "aipack/http/message.hpp"
#include "aipack/registry/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

inline constexpr std::size_t max_faults = 16; ///< of one answer
inline constexpr std::size_t max_fault_code = 64;
inline constexpr std::size_t max_fault_message = 512;
inline constexpr std::size_t max_fault_detail = 1024;
inline constexpr std::size_t max_request_id = 128;

/// What a server wrote, fit for a terminal: controls, bidirectional marks and broken UTF-8 as \xNN,
/// line breaks as spaces, at most `max_bytes`.
[[nodiscard]] std::string printable(std::string_view text, std::size_t max_bytes);

/// The faults of an error body, {"errors":[{"code","message","detail"}]} (distribution-spec 1.1,
/// "Error Codes"). Token servers and proxies say it in other members or in plain text: one fault
/// without a code then. Empty when the body says nothing. Never throws for what the body holds.
[[nodiscard]] std::vector<Fault> parse_faults(std::string_view body);

/// True for a body that is meant for a browser.
[[nodiscard]] bool is_web_page(const http::Response& response);

/// By which the registry's keepers find the request in their logs; empty without one.
[[nodiscard]] std::string request_id_of(const http::Response& response);

} // namespace aipack::registry
