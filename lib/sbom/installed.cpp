#include "installed.hpp"

#include "aipack/deb/control.hpp"
#include "aipack/license/debian.hpp"

#include "layer_reader.hpp"

#include <algorithm>
#include <map>
#include <string>

namespace aipack::sbom {
namespace {

bool is_status(const fs::RootPath& path) {
  return path.parent().text() == "var/lib/dpkg/status.d" &&
         path.filename().find('.') == std::string_view::npos;
}

bool is_copyright(const fs::RootPath& path) {
  return path.filename() == "copyright" && path.parent().parent().text() == "usr/share/doc";
}

} // namespace

std::vector<Package> installed_packages(const image::StoredImage& image,
                                        const image::ReadLimits& limits, const Operation& op) {
  fs::FileTree tree; // copyright files may be reached through links
  std::map<fs::RootPath, std::string> texts;
  const auto wants = [](const archive::TarMember& member) {
    return is_status(member.path) || is_copyright(member.path);
  };
  for (const auto& layer : image.layers) {
    if (layer.purpose == image::Purpose::model) {
      continue;
    }
    for (auto& entry : read_layer(layer, wants, limits, op)) {
      fs::FileEntry file;
      file.type = entry.member.type;
      file.link_target = entry.member.link_target;
      tree.put(entry.member.path, std::move(file));
      if (wants(entry.member)) {
        texts[entry.member.path] = std::move(entry.content);
      }
    }
  }
  tree.add_missing_parents(0);

  std::vector<Package> packages;
  for (const auto& [path, text] : texts) {
    if (!is_status(path)) {
      continue;
    }
    for (const auto& paragraph : deb::parse_control(text, path.to_string())) {
      auto package = rootfs::read_package(paragraph);
      const auto copyright =
          tree.resolve(fs::RootPath::parse("usr/share/doc") / package.name / "copyright");
      if (const auto found = copyright ? texts.find(*copyright) : texts.end();
          found != texts.end()) {
        package.license = license::read_debian_copyright(found->second, package.name);
      }
      packages.push_back(std::move(package));
    }
  }
  std::ranges::sort(packages, {}, &Package::name);
  return packages;
}

} // namespace aipack::sbom
