#pragma once

#include <optional>
#include <string_view>

namespace aipack::rootfs {

/// What kind of file that no program reads stands at `path` ("usr/share/man/…"): "documentation",
/// "development file", …; empty for others.
[[nodiscard]] std::optional<std::string_view> useless_kind(std::string_view path) noexcept;

/// What even a whole package leaves out. Copyright files are kept by their own rule.
[[nodiscard]] bool is_documentation(std::string_view path) noexcept;

} // namespace aipack::rootfs
