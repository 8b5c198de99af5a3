#include "purl.hpp"

#include "aipack/oci/reference.hpp"

#include <array>

#include <fmt/format.h>

namespace aipack::sbom {
namespace {

/// purl-spec, "Character encoding": letters, digits and ".-_~" stay, and ':' does.
std::string encoded(std::string_view text, std::string_view also_plain = ":") {
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_' || c == '~' ||
                       also_plain.find(c) != std::string_view::npos;
    result += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

/// "oci": the version is the digest, with its ':' encoded.
std::string encoded_digest(const oci::Digest& digest) {
  return encoded(digest.to_string(), "");
}

} // namespace

std::string codename_of(std::string_view suite) {
  for (const std::string_view pocket :
       {"-security", "-updates", "-backports", "-proposed-updates"}) {
    if (suite.ends_with(pocket)) {
      suite.remove_suffix(pocket.size());
    }
  }
  return std::string(suite);
}

std::string package_url(std::string_view name, std::string_view version,
                        std::string_view architecture, std::string_view suite) {
  const auto distro = codename_of(suite);
  return fmt::format("pkg:deb/debian/{}@{}?arch={}{}", encoded(name), encoded(version),
                     encoded(architecture), distro.empty() ? "" : "&distro=" + encoded(distro));
}

std::string deb_purl(const Package& package, const std::string& suite) {
  return package_url(package.name, package.version, package.architecture,
                     package.suite.empty() ? suite : package.suite);
}

std::string repository_name(std::string_view title) {
  std::string name;
  for (const char c : title) {
    const char small = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool plain = (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9') ||
                       small == '.' || small == '_';
    if (plain) {
      name += small;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (name.ends_with('-')) {
    name.pop_back();
  }
  return name.empty() ? "image" : name;
}

std::string oci_purl(std::string_view name, const oci::Digest& digest,
                     std::string_view architecture) {
  return fmt::format("pkg:oci/{}@{}{}", encoded(repository_name(name)), encoded_digest(digest),
                     architecture.empty() ? "" : "?arch=" + encoded(architecture));
}

std::string base_purl(const BaseImage& base) {
  if (!base.digest) {
    return {};
  }
  const auto reference = oci::Reference::try_parse(base.name);
  if (!reference) {
    return oci_purl(base.name, *base.digest);
  }
  const auto repository = fmt::format("{}/{}", reference->registry(), reference->repository());
  const auto name = repository.substr(repository.rfind('/') + 1);
  return fmt::format("{}?repository_url={}{}", oci_purl(name, *base.digest),
                     encoded(repository, ":/"),
                     reference->tag().empty() ? "" : "&tag=" + encoded(reference->tag()));
}

} // namespace aipack::sbom
