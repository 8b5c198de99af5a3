#pragma once

#include "session.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

inline constexpr std::size_t tags_per_page = 1000; ///< more is an error at Amazon's
inline constexpr std::uint64_t max_tags_page_bytes = std::uint64_t{64} << 20;

/// Repository::tags(): sorted, each once. `name` is what messages call the repository.
[[nodiscard]] std::vector<std::string> list_tags(Session& session, const std::string& name,
                                                 const Operation& op);

/// One page, {"name": …, "tags": ["1", …] | null}. What is no tag is left out: no request could
/// name it. Throws FormatError.
[[nodiscard]] std::vector<std::string> parse_tags_page(std::string_view body,
                                                       const std::string& name);

} // namespace aipack::registry
