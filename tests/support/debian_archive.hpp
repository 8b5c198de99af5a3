#pragma once

#include "aipack/archive/tar_writer.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/oci/digest.hpp"

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <lzma.h>
#include <rnp/rnp.h>
#include <rnp/rnp_err.h>

/// Makes small signed Debian archives for tests: keys, InRelease files, indexes and packages, as a
/// map from path to content that a test serves from a directory or from a loopback server.
namespace aipack::test {

inline void rnp_check(rnp_result_t result, const char* what) {
  if (result != RNP_SUCCESS) {
    throw std::runtime_error(fmt::format("{}: {}", what, rnp_result_to_string(result)));
  }
}

/// An OpenPGP key pair, made when the test runs.
class SigningKey {
public:
  struct Options {
    std::uint64_t created = 0;          ///< seconds since the epoch
    std::uint32_t lifetime_seconds = 0; ///< 0: never expires
    const char* algorithm = "EDDSA";    ///< or "RSA", of 2048 bits
  };
  explicit SigningKey(Options options) {
    rnp_check(rnp_ffi_create(&ffi_, "GPG", "GPG"), "create");
    rnp_check(rnp_set_timestamp(ffi_, options.created), "timestamp");
    rnp_op_generate_t op = nullptr;
    rnp_check(rnp_op_generate_create(&op, ffi_, options.algorithm), "generate");
    rnp_check(rnp_op_generate_set_userid(op, "Test Archive <test@example.org>"), "userid");
    primary_ = generate(op, options);
  }
  ~SigningKey() {
    rnp_key_handle_destroy(subkey_);
    rnp_key_handle_destroy(primary_);
    rnp_ffi_destroy(ffi_);
  }
  SigningKey(const SigningKey&) = delete;
  SigningKey& operator=(const SigningKey&) = delete;

  /// From here on the subkey signs, as it does in Debian's keys.
  void add_subkey(Options options) {
    rnp_op_generate_t op = nullptr;
    rnp_check(rnp_op_generate_subkey_create(&op, ffi_, primary_, options.algorithm), "subkey");
    rnp_check(rnp_op_generate_add_usage(op, "sign"), "usage");
    subkey_ = generate(op, options);
  }

  void revoke() { revoke(primary_); }
  void revoke_subkey() { revoke(subkey_); }

  /// Of the key that signs.
  [[nodiscard]] std::string fingerprint() const {
    char* text = nullptr;
    rnp_check(rnp_key_get_fprint(signer(), &text), "fingerprint");
    std::string result = text;
    rnp_buffer_destroy(text);
    return result;
  }

  /// The public key, binary or armoured.
  [[nodiscard]] std::string public_key(bool armoured = false) const {
    return collect([&](rnp_output_t output) {
      rnp_check(rnp_key_export(primary_, output,
                               RNP_KEY_EXPORT_PUBLIC | RNP_KEY_EXPORT_SUBKEYS |
                                   (armoured ? RNP_KEY_EXPORT_ARMORED : 0U)),
                "export");
    });
  }

  struct SignOptions {
    const char* hash = "SHA256";
    std::uint32_t created = 0; ///< 0: like the key
    std::uint32_t lifetime_seconds = 0;
    const SigningKey* also_by = nullptr;
  };
  [[nodiscard]] std::string clear_sign(std::string_view text, SignOptions options) const {
    return sign(text, options,
                [](rnp_op_sign_t* op, rnp_ffi_t ffi, rnp_input_t input, rnp_output_t output) {
                  return rnp_op_sign_cleartext_create(op, ffi, input, output);
                });
  }
  [[nodiscard]] std::string clear_sign(std::string_view text) const {
    return clear_sign(text, SignOptions{});
  }
  /// An OpenPGP message that embeds the text: signed, but not clear-signed.
  [[nodiscard]] std::string embedded_sign(std::string_view text) const {
    return sign(text, SignOptions{},
                [](rnp_op_sign_t* op, rnp_ffi_t ffi, rnp_input_t input, rnp_output_t output) {
                  const rnp_result_t result = rnp_op_sign_create(op, ffi, input, output);
                  rnp_op_sign_set_armor(*op, true);
                  return result;
                });
  }

private:
  [[nodiscard]] rnp_key_handle_t signer() const { return subkey_ != nullptr ? subkey_ : primary_; }

  static rnp_key_handle_t generate(rnp_op_generate_t op, const Options& options) {
    if (options.algorithm == std::string_view("RSA")) {
      rnp_check(rnp_op_generate_set_bits(op, 2048), "bits");
    }
    rnp_check(rnp_op_generate_set_expiration(op, options.lifetime_seconds), "expiration");
    rnp_check(rnp_op_generate_execute(op), "generate");
    rnp_key_handle_t key = nullptr;
    rnp_check(rnp_op_generate_get_key(op, &key), "key");
    rnp_op_generate_destroy(op);
    return key;
  }

  static void revoke(rnp_key_handle_t key) {
    rnp_check(rnp_key_revoke(key, 0, "SHA256", "compromised", "test"), "revoke");
  }

  template <class Create>
  [[nodiscard]] std::string sign(std::string_view text, SignOptions options, Create create) const {
    rnp_input_t input = nullptr;
    rnp_check(rnp_input_from_memory(&input, reinterpret_cast<const std::uint8_t*>(text.data()),
                                    text.size(), false),
              "input");
    std::string result = collect([&](rnp_output_t output) {
      rnp_op_sign_t op = nullptr;
      rnp_check(create(&op, ffi_, input, output), "sign");
      rnp_check(rnp_op_sign_set_hash(op, options.hash), "hash");
      if (options.created != 0) {
        rnp_check(rnp_op_sign_set_creation_time(op, options.created), "created");
      }
      rnp_check(rnp_op_sign_set_expiration_time(op, options.lifetime_seconds), "lifetime");
      rnp_check(rnp_op_sign_add_signature(op, signer(), nullptr), "signature");
      if (options.also_by != nullptr) {
        rnp_check(rnp_op_sign_add_signature(op, options.also_by->signer(), nullptr), "signature");
      }
      rnp_check(rnp_op_sign_execute(op), "sign");
      rnp_op_sign_destroy(op);
    });
    rnp_input_destroy(input);
    return result;
  }

  template <class Write>
  static std::string collect(Write write) {
    rnp_output_t output = nullptr;
    rnp_check(rnp_output_to_memory(&output, 0), "output");
    write(output);
    std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    rnp_check(rnp_output_memory_get_buf(output, &bytes, &size, false), "buffer");
    std::string result(reinterpret_cast<const char*>(bytes), size);
    rnp_output_destroy(output);
    return result;
  }

  rnp_ffi_t ffi_ = nullptr;
  rnp_key_handle_t primary_ = nullptr;
  rnp_key_handle_t subkey_ = nullptr;
};

inline std::string xz(std::string_view plain) {
  std::vector<std::uint8_t> packed(lzma_stream_buffer_bound(plain.size()));
  std::size_t size = 0;
  if (lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr,
                              reinterpret_cast<const std::uint8_t*>(plain.data()), plain.size(),
                              packed.data(), &size, packed.size()) != LZMA_OK) {
    throw std::runtime_error("xz failed");
  }
  return {reinterpret_cast<const char*>(packed.data()), size};
}

inline std::string compress(std::string_view plain, codec::Compression compression) {
  io::MemorySink sink;
  const auto compressor = codec::make_compressor(compression, sink);
  compressor->write(io::as_bytes(plain));
  compressor->finish();
  return std::string(io::as_text(sink.bytes()));
}

/// A tar of regular files (and of symlinks, where the content starts with "->"), with their
/// parents, named as dpkg-deb names them: "./usr/…".
inline std::string tar(const std::vector<std::pair<std::string, std::string>>& files) {
  fs::FileTree tree;
  for (const auto& [path, content] : files) {
    fs::FileEntry entry;
    entry.mtime = 1735689600;
    if (content.substr(0, 2) == "->") {
      entry.type = fs::FileType::symlink;
      entry.mode = 0777;
      entry.link_target = content.substr(2);
    } else {
      entry.content = fs::memory_content(content);
    }
    tree.put(fs::RootPath::parse(path), std::move(entry));
  }
  tree.add_missing_parents(1735689600);
  io::MemorySink sink;
  archive::TarWriter writer(sink);
  for (const auto& [path, entry] : tree.entries()) {
    writer.add(path, entry, {});
  }
  writer.finish();
  return std::string(io::as_text(sink.bytes()));
}

/// An ar archive of (name, content), as in deb(5).
inline std::string ar(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string result = "!<arch>\n";
  for (const auto& [name, content] : members) {
    result += fmt::format("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", name, 1735689600, 0, 0, "100644",
                          content.size());
    result += content;
    if (content.size() % 2 != 0) {
      result += '\n';
    }
  }
  return result;
}

struct TestPackage {
  std::string name;
  std::string version = "1.0-1";
  std::string architecture = "amd64";
  std::string fields{}; ///< more control fields, each line ended
  std::vector<std::pair<std::string, std::string>> control_files{}; ///< beside "control"
  std::vector<std::pair<std::string, std::string>> files{};
  [[nodiscard]] std::string control() const {
    return fmt::format("Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: Test "
                       "<test@example.org>\n{}Description: a test package\n",
                       name, version, architecture, fields);
  }
  [[nodiscard]] std::string deb() const {
    auto control_members = control_files;
    control_members.emplace_back("control", control());
    return ar({{"debian-binary", "2.0\n"},
               {"control.tar.xz", xz(tar(control_members))},
               {"data.tar.xz", xz(tar(files))}});
  }
};

inline std::string date_text(std::int64_t seconds) {
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S UTC", &parts)};
}

/// One suite below a mirror root: "dists/SUITE/…" and "pool/…".
struct TestArchive {
  std::string suite = "trixie";
  std::string suite_class = "stable";
  std::int64_t date = 0;
  std::int64_t valid_until = 0; ///< 0: none
  bool by_hash = true;
  std::vector<std::string> architectures{"amd64", "arm64"};
  std::vector<TestPackage> packages{};
  std::map<std::string, std::string> source_files{}; ///< name → content of a source package "hello"

  /// Relative path → content, without InRelease.
  [[nodiscard]] std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> result;
    for (const auto& package : packages) {
      result[pool_path(package)] = package.deb();
    }
    for (const auto& [name, content] : source_files) {
      result["pool/main/h/hello/" + name] = content;
    }
    for (const auto& [path, content] : indexes()) {
      const std::string packed = xz(content);
      if (by_hash) {
        const std::string directory = path.substr(0, path.rfind('/') + 1);
        result[fmt::format("dists/{}/{}by-hash/SHA256/{}", suite, directory,
                           oci::Digest::of(packed).hex())] = packed;
      }
      result[fmt::format("dists/{}/{}.xz", suite, path)] = packed;
    }
    return result;
  }

  static std::string pool_path(const TestPackage& package) {
    return fmt::format("pool/main/{}/{}_{}_{}.deb", package.name, package.name, package.version,
                       package.architecture);
  }

  /// Uncompressed indexes by path below the suite.
  [[nodiscard]] std::map<std::string, std::string> indexes() const {
    std::map<std::string, std::string> result;
    for (const auto& architecture : architectures) {
      std::string text;
      for (const auto& package : packages) {
        if (package.architecture == architecture || package.architecture == "all") {
          const std::string deb = package.deb();
          text += fmt::format("{}Filename: {}\nSize: {}\nSHA256: {}\n\n", package.control(),
                              pool_path(package), deb.size(), oci::Digest::of(deb).hex());
        }
      }
      result[fmt::format("main/binary-{}/Packages", architecture)] = text;
    }
    std::string checksums;
    for (const auto& [name, content] : source_files) {
      checksums += fmt::format("\n {} {} {}", oci::Digest::of(content).hex(), content.size(), name);
    }
    result["main/source/Sources"] =
        fmt::format("Package: other\nVersion: 9\nDirectory: "
                    "pool/main/o/other\nChecksums-Sha256:\n\nPackage: hello\nBinary: hello, other\n"
                    "Version: 2.0-1\nDirectory: pool/main/h/hello\nChecksums-Sha256:{}\n",
                    checksums);
    return result;
  }

  [[nodiscard]] std::string release_text() const {
    std::string text =
        fmt::format("Origin: Test\nLabel: Test\nSuite: {}\nCodename: {}\nVersion: 13.0\nDate: {}\n",
                    suite_class, suite, date_text(date));
    if (valid_until != 0) {
      text += fmt::format("Valid-Until: {}\n", date_text(valid_until));
    }
    text += fmt::format(
        "Acquire-By-Hash: {}\nArchitectures: all {}\nComponents: main\nDescription: a test "
        "archive\n"
        "MD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/binary-amd64/Packages\nSHA256:\n",
        by_hash ? "yes" : "no", fmt::join(architectures, " "));
    for (const auto& [path, content] : indexes()) {
      const std::string packed = xz(content);
      text += fmt::format(" {} {:>8} {}\n {} {:>8} {}.xz\n", oci::Digest::of(content).hex(),
                          content.size(), path, oci::Digest::of(packed).hex(), packed.size(), path);
    }
    return text;
  }

  [[nodiscard]] std::string in_release_path() const {
    return fmt::format("dists/{}/InRelease", suite);
  }
};

inline void write_files(const std::filesystem::path& root,
                        const std::map<std::string, std::string>& files) {
  for (const auto& [path, content] : files) {
    std::filesystem::create_directories((root / path).parent_path());
    std::ofstream(root / path, std::ios::binary) << content;
  }
}

} // namespace aipack::test
