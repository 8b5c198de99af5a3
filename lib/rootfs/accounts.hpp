#pragma once

#include "root.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace aipack::rootfs {

/// Numbers of Debian's static accounts. Source: base-passwd 3.6.7, passwd.master and group.master;
/// Debian Policy 9.2.2.
[[nodiscard]] std::optional<std::uint32_t> static_user_id(std::string_view name) noexcept;
[[nodiscard]] std::optional<std::uint32_t> static_group_id(std::string_view name) noexcept;

/// The image's numeric user and group. Throws Error{invalid_input} when they are not numbers.
struct UserId {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
[[nodiscard]] UserId parse_user(std::string_view text);

/// Writes /etc/passwd, /etc/group and the home of nonroot: root, nobody, nonroot, the image's user,
/// and whoever owns a kept file. Rules 16, 18.
void write_accounts(Root& root);

} // namespace aipack::rootfs
