#include "skeleton.hpp"

#include <array>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

struct Directory {
  std::string_view path;
  std::uint32_t mode;
  bool force = false; ///< the mode is the postinst's, not the archive's
};
// Source: base-files 13.8, data.tar and postinst ("install_directory", "install_local_dir").
// /var/mail is left out: nothing delivers mail.
constexpr std::array<Directory, 44> directories{{
    {"boot", 0755},
    {"dev", 0755},
    {"etc", 0755},
    {"etc/opt", 0755},
    {"home", 0755},
    {"media", 0755},
    {"mnt", 0755},
    {"opt", 0755},
    {"proc", 0755},
    {"root", 0700},
    {"run", 0755},
    {"run/lock", 01777, true},
    {"srv", 0755},
    {"sys", 0755},
    {"tmp", 01777},
    {"usr", 0755},
    {"usr/bin", 0755},
    {"usr/lib", 0755},
    {"usr/sbin", 0755},
    {"usr/share", 0755},
    {"usr/local", 0755},
    {"usr/local/bin", 0755},
    {"usr/local/etc", 0755},
    {"usr/local/games", 0755},
    {"usr/local/include", 0755},
    {"usr/local/lib", 0755},
    {"usr/local/libexec", 0755},
    {"usr/local/sbin", 0755},
    {"usr/local/share", 0755},
    {"usr/local/share/man", 0755},
    {"usr/local/src", 0755},
    {"var", 0755},
    {"var/cache", 0755},
    {"var/lib", 0755},
    {"var/lib/dpkg", 0755},
    {"var/lib/misc", 0755},
    {"var/local", 0755},
    {"var/log", 0755},
    {"var/opt", 0755},
    {"var/spool", 0755},
    {"var/tmp", 01777},
    {"etc/ld.so.conf.d", 0755},
    {"etc/ssl", 0755},
    {"etc/ssl/certs", 0755},
}};

struct Kept {
  std::string_view package;
  std::string_view glob;
  std::string_view detail;
};
constexpr std::array<Kept, 14> always_kept{{
    {"base-files", "etc/debian_version", "rule 15: what the image is"},
    {"base-files", "etc/os-release", "rule 15: what the image is"},
    {"base-files", "usr/lib/os-release", "rule 15: what the image is"},
    {"base-files", "etc/dpkg/origins/debian", "rule 15: what the image is"},
    {"base-files", "etc/host.conf", "rule 20: name service"},
    {"libc-bin", "etc/gai.conf", "rule 20: name service"},
    {"netbase", "etc/protocols", "rule 20: name service"},
    {"netbase", "etc/services", "rule 20: name service"},
    {"netbase", "etc/rpc", "rule 20: name service"},
    {"netbase", "etc/ethertypes", "rule 20: name service"},
    {"media-types", "etc/mime.types", "types of files by their names"},
    {"libc-bin", "usr/lib/locale/C.utf8/**", "rule 25: the C.UTF-8 locale"},
    {"*", "etc/ld.so.conf", "rule 27: configuration of the loader"},
    {"*", "etc/ld.so.conf.d/*", "rule 27: configuration of the loader"},
}};

/// What libc-bin's template says, for roots without libc-bin.
constexpr std::string_view default_nsswitch =
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: "
    "files\nservices: files\n"
    "ethers: files\nrpc: files\n";

} // namespace

void add_skeleton(Root& root) {
  for (const Directory& directory : directories) {
    root.generate_directory(directory.path, directory.mode,
                            {"skeleton", "rule 13: base directories"}, "base-files",
                            directory.force);
  }
  root.generate_link("usr/local/man", "share/man", {"skeleton", "rule 13: base directories"},
                     "base-files");
  if (root.tree.find(fs::RootPath::parse("etc/dpkg/origins/debian")) != nullptr) {
    root.generate_link("etc/dpkg/origins/default", "debian",
                       {"skeleton", "rule 13: effects of base-files"}, "base-files");
  }
  if (root.tree.find(fs::RootPath::parse("etc/ld.so.conf")) == nullptr) {
    root.generate_file("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n",
                       {"generated", "rule 27: configuration of the loader"}, "libc-bin");
  }
  for (const auto& [path, entry] : root.tree.entries()) {
    if (entry.reason || entry.type == fs::FileType::directory) {
      continue;
    }
    for (const Kept& kept : always_kept) {
      if ((kept.package == "*" ? !entry.package.empty() : kept.package == entry.package) &&
          glob_matches(kept.glob, path.text())) {
        root.keep(path, {"skeleton", std::string(kept.detail)});
        break;
      }
    }
  }
  // Licences that copyright files refer to. Rule 36.
  for (const auto& [path, entry] : root.tree.entries()) {
    if (entry.type != fs::FileType::directory &&
        path.text().starts_with("usr/share/common-licenses/")) {
      root.keep(path, {"licence", "rule 36: texts that copyright files refer to"});
    }
  }
  add_name_service(root);
  add_certificates(root);
}

void add_name_service(Root& root) {
  const fs::RootPath target = fs::RootPath::parse("etc/nsswitch.conf");
  if (root.tree.find(target) != nullptr) {
    root.keep(target, {"skeleton", "rule 19: name service"});
    return;
  }
  const fs::RootPath original = fs::RootPath::parse("usr/share/libc-bin/nsswitch.conf");
  const bool has_template = root.tree.find(original) != nullptr;
  root.generate_file(target.text(),
                     has_template ? root.text_of(original) : std::string(default_nsswitch),
                     {"generated", "rule 19: name service, libc-bin's template"}, "libc-bin");
  if (has_template) {
    root.merged_into[original] = target.to_string();
  }
}

void add_local_time(Root& root) {
  const fs::RootPath utc = fs::RootPath::parse("usr/share/zoneinfo/Etc/UTC");
  const fs::RootPath target = fs::RootPath::parse("etc/localtime");
  if (root.is_kept(utc) && root.tree.find(target) == nullptr) {
    root.generate_link(target.text(), utc.to_string(), {"generated", "rule 24: time zone", utc},
                       "tzdata");
  }
}

} // namespace aipack::rootfs
