#include "package_facts.hpp"

#include "aipack/core/text.hpp"
#include "aipack/license/debian.hpp"

namespace aipack::rootfs {
namespace {

std::string text_or_empty(const deb::Paragraph& control, std::string_view field) {
  return std::string(trim(control.find(field).value_or("")));
}

/// Debian Policy 5.6.1: "Source: name (version)", where the version is that of the binary package
/// unless it is given; without the field the names are the same.
void read_source(const deb::Paragraph& control, KeptPackage& package) {
  const auto field = text_or_empty(control, "Source");
  const auto open = field.find('(');
  const auto name = trim(std::string_view(field).substr(0, open));
  package.source = name.empty() ? package.name : std::string(name);
  package.source_version = package.version;
  if (open != std::string::npos) {
    const auto close = field.find(')', open);
    package.source_version = trim(std::string_view(field).substr(open + 1, close - open - 1));
  }
}

license::License license_of(const Root& root, const std::string& name) {
  const auto place = root.tree.resolve(fs::RootPath::parse("usr/share/doc") / name / "copyright");
  const auto* entry = place ? root.tree.find(*place) : nullptr;
  if (entry == nullptr || entry->type != fs::FileType::regular ||
      entry->size() > license::max_copyright_bytes) {
    return {};
  }
  return license::read_debian_copyright(root.text_of(*place), name);
}

} // namespace

KeptPackage read_package(const deb::Paragraph& control) {
  KeptPackage package{.name = std::string(trim(control.get("Package"))),
                      .version = std::string(trim(control.get("Version"))),
                      .architecture = std::string(trim(control.get("Architecture"))),
                      .maintainer = text_or_empty(control, "Maintainer"),
                      .homepage = text_or_empty(control, "Homepage")};
  read_source(control, package);
  return package;
}

std::vector<KeptPackage> facts_of_packages(const Root& root, const std::set<std::string>& names) {
  std::vector<KeptPackage> packages;
  for (const auto& name : names) {
    const Input* input = root.find_package(name);
    if (input == nullptr) {
      continue; // a name that only generated files carry
    }
    auto package = read_package(input->file.control);
    package.suite = input->package.source_suite;
    package.digest = input->package.digest;
    package.size_bytes = input->package.size_bytes;
    package.license = license_of(root, name);
    packages.push_back(std::move(package));
  }
  return packages;
}

} // namespace aipack::rootfs
