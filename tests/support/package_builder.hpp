#pragma once

#include "aipack/fs/file_tree.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::test {

/// A Debian package in memory.
class PackageBuilder {
public:
  explicit PackageBuilder(std::string name, std::string architecture = "amd64",
                          std::string version = "1.0-1")
      : input_{deb::Package{.name = name,
                            .version = version,
                            .architecture = architecture,
                            .source_suite = "trixie",
                            .url = {},
                            .digest = oci::Digest::of(name + version)},
               {}} {
    field("Package", std::move(name));
    field("Version", std::move(version));
    field("Architecture", std::move(architecture));
  }

  PackageBuilder& field(std::string name, std::string value) {
    input_.file.control.set(std::move(name), std::move(value));
    return *this;
  }
  PackageBuilder& directory(std::string_view path, std::uint32_t mode = 0755) {
    return member(path, fs::FileType::directory, mode);
  }
  PackageBuilder& link(std::string_view path, std::string target) {
    member(path, fs::FileType::symlink, 0777);
    input_.file.members.back().member.link_target = std::move(target);
    return *this;
  }
  PackageBuilder& hard_link(std::string_view path, std::string target) {
    member(path, fs::FileType::hard_link, 0644);
    input_.file.members.back().member.link_target = std::move(target);
    return *this;
  }
  PackageBuilder& file(std::string_view path, std::string text, std::uint32_t mode = 0644) {
    member(path, fs::FileType::regular, mode);
    input_.file.members.back().member.size = text.size();
    input_.file.members.back().content = fs::memory_content(std::move(text));
    return *this;
  }
  PackageBuilder& file(std::string_view path, const std::vector<std::byte>& bytes,
                       std::uint32_t mode = 0644) {
    return file(path, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), mode);
  }
  /// Of the last member.
  PackageBuilder& owned_by(std::string user, std::string group) {
    input_.file.members.back().member.user_name = std::move(user);
    input_.file.members.back().member.group_name = std::move(group);
    return *this;
  }
  PackageBuilder& script(std::string name, std::string text) {
    input_.file.scripts[std::move(name)] = std::move(text);
    return *this;
  }
  PackageBuilder& metadata(std::string name, std::string text) {
    input_.file.metadata[std::move(name)] = std::move(text);
    return *this;
  }
  PackageBuilder& copyright() {
    return file("usr/share/doc/" + input_.package.name + "/copyright",
                "licence of " + input_.package.name + "\n");
  }

  [[nodiscard]] rootfs::Input build() const {
    rootfs::Input input = input_;
    input.file.control_text = input.file.control.to_string();
    return input;
  }

private:
  PackageBuilder& member(std::string_view path, fs::FileType type, std::uint32_t mode) {
    archive::TarMember member;
    member.path = fs::RootPath::parse(path);
    member.type = type;
    member.mode = mode;
    member.user_name = "root";
    member.group_name = "root";
    member.mtime = 1'700'000'000;
    input_.file.members.push_back({std::move(member), nullptr});
    return *this;
  }

  rootfs::Input input_;
};

} // namespace aipack::test
