#include "package_database.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "aliases.hpp"

#include <array>
#include <memory>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace aipack::rootfs {
namespace {

struct DigestContextDeleter {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

/// dpkg's own checksum; nothing is trusted because of it.
std::string md5_hex(const fs::Content& content) {
  const std::unique_ptr<EVP_MD_CTX, DigestContextDeleter> context(EVP_MD_CTX_new());
  if (!context || EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr) != 1) {
    throw Error(ErrorCode::internal, "cannot compute an MD5 checksum: OpenSSL refuses it");
  }
  const auto source = content.open();
  std::array<std::byte, 65536> buffer;
  while (const std::size_t count = source->read(buffer)) {
    EVP_DigestUpdate(context.get(), buffer.data(), count);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += fmt::format("{:02x}", digest[i]);
  }
  return hex;
}

/// The kept regular file of `package` that its metadata calls `path`, or null.
const fs::FileEntry* kept_file(const Root& root, std::string_view path,
                               const std::string& package) {
  const auto parsed = fs::RootPath::try_parse(path);
  if (!parsed) {
    return nullptr;
  }
  const fs::FileEntry* entry = root.tree.find(root.canonical(without_alias(*parsed)));
  return entry != nullptr && entry->reason && entry->type == fs::FileType::regular &&
                 entry->package == package
             ? entry
             : nullptr;
}

std::string_view metadata(const Input& input, const std::string& name) {
  const auto found = input.file.metadata.find(name);
  return found == input.file.metadata.end() ? std::string_view() : std::string_view(found->second);
}

/// The control paragraph with `Status` behind the first line, and the conffiles that are in the
/// image.
std::string status_of(const Root& root, const Input& input) {
  const std::string_view control = trim(input.file.control_text);
  const std::size_t first_line = control.find('\n');
  std::string text(control.substr(0, first_line));
  text += "\nStatus: install ok installed";
  if (first_line != std::string_view::npos) {
    text += control.substr(first_line);
  }
  text += "\n";
  std::string conffiles;
  for (const std::string_view raw : split(metadata(input, "conffiles"), '\n')) {
    const std::string_view line = trim(raw);
    if (const fs::FileEntry* entry =
            line.starts_with('/') ? kept_file(root, line, input.package.name) : nullptr) {
      conffiles += fmt::format(" {} {}\n", line, md5_hex(*entry->content));
    }
  }
  return conffiles.empty() ? text : text + "Conffiles:\n" + conffiles;
}

/// The lines of files that are in the image.
std::string md5sums_of(const Root& root, const Input& input) {
  std::string text;
  for (const std::string_view line : split(metadata(input, "md5sums"), '\n')) {
    const std::size_t space = line.find("  ");
    if (space != std::string_view::npos &&
        kept_file(root, line.substr(space + 2), input.package.name) != nullptr) {
      text.append(line).push_back('\n');
    }
  }
  return text;
}

} // namespace

std::set<std::string> packages_with_kept_files(const Root& root) {
  std::set<std::string> names;
  for (const auto& [path, entry] : root.tree.entries()) {
    if (entry.reason && !entry.package.empty() && entry.type != fs::FileType::directory) {
      names.insert(entry.package);
    }
  }
  return names;
}

void keep_copyrights(Root& root) {
  std::set<std::string> done;
  // A link into another package's directory makes that package one with kept files.
  for (bool grew = true; grew;) {
    grew = false;
    for (const auto& name : packages_with_kept_files(root)) {
      if (!done.insert(name).second) {
        continue;
      }
      grew = true;
      if (!root.keep_resolved(fs::RootPath::parse("usr/share/doc") / name / "copyright",
                              {"licence", "rule 36: copyright of " + name})) {
        root.notes.insert("package " + name + " has no copyright file");
      }
    }
  }
}

void write_package_database(Root& root) {
  const fs::Reason reason{"generated", "rule 31: package database"};
  for (const auto& name : packages_with_kept_files(root)) {
    const Input* input = root.find_package(name);
    if (input == nullptr) {
      continue;
    }
    const fs::RootPath base = fs::RootPath::parse("var/lib/dpkg/status.d") / name;
    root.generate_file(base.text(), status_of(root, *input), reason, name);
    if (const std::string sums = md5sums_of(root, *input); !sums.empty()) {
      root.generate_file(base.text() + ".md5sums", sums, reason, name);
    }
  }
}

} // namespace aipack::rootfs
