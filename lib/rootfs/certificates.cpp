#include "skeleton.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace aipack::rootfs {
namespace {

constexpr std::string_view packaged = "usr/share/ca-certificates/";
constexpr std::string_view local = "usr/local/share/ca-certificates/";
constexpr std::string_view bundle = "etc/ssl/certs/ca-certificates.crt";

/// Certificates below `directory` in byte order of their paths, as `LC_ALL=C sort` gives it: not in
/// the order of the tree, which goes by parts.
std::vector<fs::RootPath> certificates_in(const Root& root, std::string_view directory) {
  std::vector<fs::RootPath> found;
  for (const auto& [path, entry] : root.tree.entries()) {
    if (entry.type == fs::FileType::regular && path.text().starts_with(directory) &&
        path.text().ends_with(".crt")) {
      found.push_back(path);
    }
  }
  std::sort(found.begin(), found.end(),
            [](const fs::RootPath& a, const fs::RootPath& b) { return a.text() < b.text(); });
  return found;
}

} // namespace

void add_certificates(Root& root) {
  std::vector<fs::RootPath> certificates = certificates_in(root, packaged);
  for (auto& path :
       certificates_in(root, local)) { // update-ca-certificates(8): local ones come last
    certificates.push_back(std::move(path));
  }
  if (certificates.empty()) {
    return;
  }
  std::string text;
  for (const auto& path : certificates) {
    text += root.text_of(path);
    if (!text.empty() && text.back() != '\n') {
      text.push_back('\n');
    }
    root.merged_into[path] = "/" + std::string(bundle);
  }
  root.generate_file(bundle, std::move(text), {"generated", "rule 21: CA bundle"},
                     "ca-certificates");
  const fs::RootPath bundle_path = fs::RootPath::parse(bundle);
  // Where Debian's libcrypto looks (OPENSSLDIR is /usr/lib/ssl); the links belong to package
  // openssl, which is rarely wanted itself.
  root.generate_directory("usr/lib/ssl", 0755,
                          {"generated", "rule 22: where libcrypto looks", bundle_path},
                          "ca-certificates");
  const auto link = [&](const std::string& name, const std::string& target) {
    const fs::RootPath path = fs::RootPath::parse("usr/lib/ssl/" + name);
    const fs::Reason reason{"generated", "rule 22: where libcrypto looks", bundle_path};
    if (root.tree.find(path) != nullptr) {
      root.keep(path, reason);
    } else {
      root.generate_link(path.text(), target, reason, "ca-certificates");
    }
  };
  link("cert.pem", "/" + std::string(bundle));
  link("certs", "/etc/ssl/certs");
  const fs::RootPath configuration = fs::RootPath::parse("etc/ssl/openssl.cnf");
  if (root.tree.find(configuration) != nullptr) {
    root.keep(configuration, {"data", "rule 22: configuration of libcrypto"});
    link("openssl.cnf", configuration.to_string());
  }
}

} // namespace aipack::rootfs
