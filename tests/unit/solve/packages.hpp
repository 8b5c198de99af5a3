#pragma once

#include "aipack/io/byte_stream.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/solve/solve.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace aipack::solve::test {

/// One paragraph of a Packages file; `fields` are further lines ("Depends: b").
inline std::string package(const std::string& name, const std::string& version,
                           const std::string& fields = "",
                           const std::string& architecture = "amd64") {
  const std::string digest = oci::Digest::of(name + " " + version + " " + fields).hex();
  return "Package: " + name + "\nVersion: " + version + "\nArchitecture: " + architecture + "\n" +
         fields + (fields.empty() || fields.back() == '\n' ? "" : "\n") +
         "Installed-Size: 12\nSection: libs\nFilename: pool/main/" + name + "_" +
         "1.deb\nSize: 1000\nSHA256: " + digest +
         "\nDescription: a test package\n of two lines: a colon\n\n";
}

/// Verified indexes as the archive component hands them out, in a directory of their own.
class Indexes {
public:
  explicit Indexes(const std::string& architecture = "amd64") {
    index_.platform = oci::Platform::parse("linux/" + architecture);
    architecture_ = architecture;
  }
  Indexes& add(const std::string& suite, const std::string& text,
               const std::string& mirror = "http://deb.example/debian") {
    const oci::Digest digest = oci::Digest::of(text);
    const std::filesystem::path file =
        directory_->path() / (digest.hex() + "-" + std::to_string(index_.indexes.size()));
    io::write_file_atomically(file, io::as_bytes(text));
    index_.indexes.push_back({.source = {.mirror = mirror, .suite = suite},
                              .component = "main",
                              .architecture = architecture_,
                              .release_path = "main/binary-" + architecture_ + "/Packages",
                              .digest = digest,
                              .size_bytes = text.size(),
                              .file = file});
    return *this;
  }
  [[nodiscard]] const deb::PackageIndex& get() const noexcept { return index_; }
  [[nodiscard]] std::filesystem::path cache() const { return directory_->path() / "cache"; }

private:
  std::unique_ptr<io::TempDirectory> directory_ = std::make_unique<io::TempDirectory>();
  std::string architecture_;
  deb::PackageIndex index_;
};

/// The packages of one suite "trixie".
inline Indexes trixie(const std::vector<std::string>& packages) {
  std::string text;
  for (const std::string& paragraph : packages) {
    text += paragraph;
  }
  Indexes indexes;
  indexes.add("trixie", text);
  return indexes;
}

/// "a 1, b 2", or the explanation, one line each.
inline std::string outcome_text(const Outcome& outcome) {
  std::string text;
  if (const auto* why = std::get_if<Unsolvable>(&outcome)) {
    for (const std::string& line : why->explanation) {
      text += (text.empty() ? "" : "\n") + line;
    }
    return text;
  }
  for (const Choice& choice : std::get<Solution>(outcome).choices) {
    text += (text.empty() ? "" : ", ") + choice.package.label();
  }
  return text;
}

inline std::string resolved(const Indexes& indexes, const std::vector<std::string>& install,
                            const std::vector<std::string>& assumed = {}) {
  return outcome_text(
      resolve(indexes.get(), {.install = install, .assume_installed = assumed}, {}, {}));
}

} // namespace aipack::solve::test
