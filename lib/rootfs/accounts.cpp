#include "accounts.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

struct User {
  std::string_view name;
  std::uint32_t uid;
  std::uint32_t gid;
  std::string_view home;
};
constexpr std::array<User, 18> static_users{{
    {"root", 0, 0, "/root"},
    {"daemon", 1, 1, "/usr/sbin"},
    {"bin", 2, 2, "/bin"},
    {"sys", 3, 3, "/dev"},
    {"sync", 4, 65534, "/bin"},
    {"games", 5, 60, "/usr/games"},
    {"man", 6, 12, "/var/cache/man"},
    {"lp", 7, 7, "/var/spool/lpd"},
    {"mail", 8, 8, "/var/mail"},
    {"news", 9, 9, "/var/spool/news"},
    {"uucp", 10, 10, "/var/spool/uucp"},
    {"proxy", 13, 13, "/bin"},
    {"www-data", 33, 33, "/var/www"},
    {"backup", 34, 34, "/var/backups"},
    {"list", 38, 38, "/var/list"},
    {"irc", 39, 39, "/run/ircd"},
    {"_apt", 42, 65534, "/nonexistent"},
    {"nobody", 65534, 65534, "/nonexistent"},
}};

struct Group {
  std::string_view name;
  std::uint32_t gid;
};
constexpr std::array<Group, 38> static_groups{{
    {"root", 0},      {"daemon", 1},  {"bin", 2},         {"sys", 3},       {"adm", 4},
    {"tty", 5},       {"disk", 6},    {"lp", 7},          {"mail", 8},      {"news", 9},
    {"uucp", 10},     {"man", 12},    {"proxy", 13},      {"kmem", 15},     {"dialout", 20},
    {"fax", 21},      {"voice", 22},  {"cdrom", 24},      {"floppy", 25},   {"tape", 26},
    {"sudo", 27},     {"audio", 29},  {"dip", 30},        {"www-data", 33}, {"backup", 34},
    {"operator", 37}, {"list", 38},   {"irc", 39},        {"src", 40},      {"shadow", 42},
    {"utmp", 43},     {"video", 44},  {"sasl", 45},       {"plugdev", 46},  {"staff", 50},
    {"games", 60},    {"users", 100}, {"nogroup", 65534},
}};

constexpr std::uint32_t nonroot_id = 65532;

/// Every password is locked ('*'), so no /etc/shadow is needed.
std::string passwd_line(std::string_view name, std::uint32_t uid, std::uint32_t gid,
                        std::string_view home) {
  return fmt::format("{0}:*:{1}:{2}:{0}:{3}:/usr/sbin/nologin\n", name, uid, gid, home);
}

} // namespace

std::optional<std::uint32_t> static_user_id(std::string_view name) noexcept {
  const auto found = std::find_if(static_users.begin(), static_users.end(),
                                  [&](const User& user) { return user.name == name; });
  return found == static_users.end() ? std::nullopt : std::optional(found->uid);
}

std::optional<std::uint32_t> static_group_id(std::string_view name) noexcept {
  const auto found = std::find_if(static_groups.begin(), static_groups.end(),
                                  [&](const Group& group) { return group.name == name; });
  return found == static_groups.end() ? std::nullopt : std::optional(found->gid);
}

UserId parse_user(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto uid = parse_decimal(text.substr(0, colon));
  const auto gid = colon == std::string_view::npos ? uid : parse_decimal(text.substr(colon + 1));
  if (!uid || !gid || *uid >= UINT32_MAX || *gid >= UINT32_MAX) {
    throw Error(ErrorCode::invalid_input,
                "cannot use " + quoted(text) + " as the image's user: not a number or UID:GID")
        .with_hint("names are not accepted, because Kubernetes' runAsNonRoot cannot verify one");
  }
  return {static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*gid)};
}

void write_accounts(Root& root) {
  const UserId user = parse_user(root.request.user);
  std::map<std::uint32_t, std::string> users; // by number: the files are sorted by it
  std::map<std::uint32_t, std::string> groups;
  const auto add_user = [&](const User& account) {
    users.try_emplace(account.uid,
                      passwd_line(account.name, account.uid, account.gid, account.home));
  };
  const auto add_group = [&](std::string_view name, std::uint32_t gid) {
    groups.try_emplace(gid, fmt::format("{}:*:{}:\n", name, gid));
  };
  for (const auto& account : static_users) {
    const bool owns =
        std::any_of(root.tree.entries().begin(), root.tree.entries().end(), [&](const auto& item) {
          return item.second.reason && item.second.uid == account.uid;
        });
    if (account.uid == 0 || account.uid == 65534 || account.uid == user.uid || owns) {
      add_user(account);
    }
  }
  for (const auto& group : static_groups) {
    const bool owns =
        std::any_of(root.tree.entries().begin(), root.tree.entries().end(), [&](const auto& item) {
          return item.second.reason && item.second.gid == group.gid;
        });
    const bool always = group.gid == 0 || group.gid == 5 || group.gid == 50 || group.gid == 65534;
    if (always || group.gid == user.gid || owns) {
      add_group(group.name, group.gid);
    }
  }
  users.try_emplace(nonroot_id, passwd_line("nonroot", nonroot_id, nonroot_id, "/home/nonroot"));
  add_group("nonroot", nonroot_id);
  users.try_emplace(user.uid, passwd_line("user", user.uid, user.gid, "/nonexistent"));
  add_group("user", user.gid);

  const auto join = [](const std::map<std::uint32_t, std::string>& lines) {
    std::string text;
    for (const auto& [number, line] : lines) {
      text += line;
    }
    return text;
  };
  root.generate_file("etc/passwd", join(users), {"generated", "rule 16: accounts"}, "base-passwd");
  root.generate_file("etc/group", join(groups), {"generated", "rule 16: accounts"}, "base-passwd");
  root.generate_directory("home/nonroot", 0700, {"generated", "rule 16: home of the image's user"});
  fs::FileEntry* home = root.tree.find(root.canonical(fs::RootPath::parse("home/nonroot")));
  if (home == nullptr || home->type != fs::FileType::directory) {
    throw Error(ErrorCode::invalid_input,
                "cannot make the home of the image's user: '/home/nonroot' is not a directory");
  }
  home->uid = nonroot_id;
  home->gid = nonroot_id;
}

} // namespace aipack::rootfs
