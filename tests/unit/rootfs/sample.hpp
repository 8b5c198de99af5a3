#pragma once

#include "aipack/core/error.hpp"
#include "aipack/io/byte_stream.hpp"

#include "support/elf_writer.hpp"
#include "support/package_builder.hpp"

#include <string>
#include <vector>

namespace aipack::test {

inline fs::RootPath at(std::string_view path) {
  return fs::RootPath::parse(path);
}

inline const char* interpreter_of(elf::Machine machine) {
  switch (machine) {
  case elf::Machine::x86_64:
    return "/lib64/ld-linux-x86-64.so.2";
  case elf::Machine::aarch64:
    return "/lib/ld-linux-aarch64.so.1";
  case elf::Machine::riscv64:
    return "/lib/ld-linux-riscv64-lp64d.so.1";
  }
  return "";
}

inline std::vector<std::byte> library(elf::Machine machine, std::string soname,
                                      std::vector<std::string> needed = {"libc.so.6"}) {
  ElfSpec spec;
  spec.machine = machine;
  spec.soname = std::move(soname);
  spec.needed = std::move(needed);
  return make_elf(spec);
}

inline std::vector<std::byte> program(elf::Machine machine, std::vector<std::string> needed) {
  ElfSpec spec;
  spec.machine = machine;
  spec.interpreter = interpreter_of(machine);
  spec.needed = std::move(needed);
  return make_elf(spec);
}

/// base-files, libc6, libc-bin, a runtime library with a dependency, a library that nothing needs,
/// and an application: a small Debian.
struct Sample {
  elf::Machine machine = elf::Machine::x86_64;
  std::string architecture = "amd64";
  std::string triplet = "x86_64-linux-gnu";

  [[nodiscard]] std::string lib(std::string_view name) const {
    return "usr/lib/" + triplet + "/" + std::string(name);
  }

  [[nodiscard]] rootfs::Input base_files() const {
    PackageBuilder builder("base-files", architecture, "13.8");
    for (const char* name : {"dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "usr/sbin",
                             "usr/lib", "usr/share", "var", "var/run"}) {
      builder.directory(name);
    }
    builder.directory("root", 0700)
        .directory("tmp", 01777)
        .directory("var/tmp", 01777)
        .directory("var/lock", 01777);
    builder.file("usr/lib/os-release", "ID=debian\n")
        .link("etc/os-release", "../usr/lib/os-release")
        .file("etc/debian_version", "13.8\n");
    builder.link("bin", "usr/bin").link("sbin", "usr/sbin").link("lib", "usr/lib");
    if (machine == elf::Machine::x86_64) {
      builder.directory("usr/lib64").link("lib64", "usr/lib64");
    }
    builder.file("usr/share/common-licenses/GPL-3", "GPL")
        .link("usr/share/common-licenses/GPL", "GPL-3");
    builder.file("etc/issue", "Debian").copyright();
    builder.script("postinst", "#!/bin/sh\nmkdir -p /anything\n");
    return builder.build();
  }
  [[nodiscard]] rootfs::Input libc() const {
    const std::string loader(std::string_view(interpreter_of(machine))
                                 .substr(std::string_view(interpreter_of(machine)).rfind('/') + 1));
    PackageBuilder builder("libc6", architecture, "2.41-12");
    ElfSpec libc;
    libc.machine = machine;
    libc.soname = "libc.so.6";
    libc.needed = {loader};
    libc.versions_defined = {"GLIBC_2.38", "GLIBC_2.41"};
    builder.file(lib("libc.so.6"), make_elf(libc), 0755)
        .file(lib(loader), library(machine, loader, {}), 0755);
    builder.file(lib("libm.so.6"), library(machine, "libm.so.6"));
    if (machine == elf::Machine::x86_64) {
      builder.link("usr/lib64/" + loader, "../lib/" + triplet + "/" + loader);
    } else {
      builder.link("usr/lib/" + loader, triplet + "/" + loader);
    }
    builder.file(lib("gconv/UTF-7.so"), library(machine, ""));
    builder.file("etc/ld.so.conf.d/" + triplet + ".conf", "# multiarch\n/usr/local/lib/" + triplet +
                                                              "\n/lib/" + triplet + "\n/usr/lib/" +
                                                              triplet + "\n");
    builder.metadata("conffiles", "/etc/ld.so.conf.d/" + triplet + ".conf\n")
        .metadata("shlibs", "libc 6 libc6\n");
    builder.metadata("md5sums", "0123  " + lib("libc.so.6") + "\n4567  " + lib("libm.so.6") + "\n")
        .copyright();
    builder.file("usr/share/doc/libc6/changelog.gz", "long");
    return builder.build();
  }
  [[nodiscard]] rootfs::Input libc_bin() const {
    return PackageBuilder("libc-bin", architecture, "2.41-12")
        .file("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n")
        .file("etc/ld.so.conf.d/libc.conf", "/usr/local/lib\n")
        .file("usr/share/libc-bin/nsswitch.conf", "hosts: files dns\n")
        .file("usr/lib/locale/C.utf8/LC_CTYPE", "ctype")
        .file("usr/bin/ldd", "#!/bin/bash\n", 0755)
        .copyright()
        .build();
  }
  [[nodiscard]] rootfs::Input libfoo() const {
    return PackageBuilder("libfoo1", architecture)
        .field("Source", "foo (1.0)")
        .file(lib("libfoo.so.1.2"), library(machine, "libfoo.so.1", {"libbar.so.2", "libc.so.6"}))
        .link(lib("libfoo.so.1"), "libfoo.so.1.2")
        .link("usr/share/doc/libfoo1", "foo-base")
        .build();
  }
  [[nodiscard]] rootfs::Input foo_base() const {
    return PackageBuilder("foo-base", "all")
        .file("usr/share/doc/foo-base/copyright", "licence of foo")
        .build();
  }
  [[nodiscard]] rootfs::Input libbar() const {
    return PackageBuilder("libbar2", architecture)
        .file(lib("libbar.so.2"), library(machine, "libbar.so.2"))
        .copyright()
        .build();
  }
  [[nodiscard]] rootfs::Input unused() const {
    return PackageBuilder("libunused0", architecture)
        .file(lib("libunused.so.0"), library(machine, "libunused.so.0"))
        .copyright()
        .build();
  }
  [[nodiscard]] rootfs::Input app() const {
    return PackageBuilder("app", architecture)
        .file("usr/bin/app", program(machine, {"libfoo.so.1", "libc.so.6"}), 0755)
        .copyright()
        .build();
  }

  [[nodiscard]] rootfs::Request request() const {
    rootfs::Request request;
    request.platform = oci::Platform::parse("linux/" + architecture);
    request.packages = {app(),  base_files(), foo_base(), libbar(),
                        libc(), libc_bin(),   libfoo(),   unused()};
    request.entrypoint = {"/usr/bin/app"};
    request.epoch = 1'600'000'000;
    return request;
  }
};

inline std::string text_of(const fs::FileTree& tree, std::string_view path) {
  const fs::FileEntry* entry = tree.find(at(path));
  if (entry == nullptr || !entry->content) {
    return "no file " + std::string(path);
  }
  const auto source = entry->content->open();
  return io::read_text(*source, 1U << 24U, path);
}

inline std::string reason_of(const rootfs::Composition& composition, std::string_view what) {
  for (const auto& item : composition.dropped) {
    if (item.what == what) {
      return item.reason;
    }
  }
  return "not dropped";
}

/// One line per entry, everything that ends up in a layer.
inline std::string listing(const fs::FileTree& tree) {
  std::string text;
  for (const auto& [path, entry] : tree.entries()) {
    char head[64];
    std::snprintf(head, sizeof head, "%c %04o %u:%u %lld ", "fdlh"[static_cast<int>(entry.type)],
                  entry.mode, entry.uid, entry.gid, static_cast<long long>(entry.mtime));
    text += head + path.to_string() + (entry.link_target.empty() ? "" : " -> " + entry.link_target);
    if (entry.content) {
      text += " " + oci::Digest::of(text_of(tree, path.text())).short_hex();
    }
    text += " [" + entry.package + "] " + entry.reason->rule + "\n";
  }
  return text;
}

} // namespace aipack::test
