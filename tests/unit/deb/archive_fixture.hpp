#pragma once

#include "aipack/core/error.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/debian_archive.hpp"
#include "support/http_server.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace aipack::archive_test {

using namespace std::chrono_literals;
using test::Fault;
using test::FileSite;
using test::Reply;
using test::SigningKey;
using test::TestArchive;
using test::TestPackage;

inline constexpr std::int64_t day = 24 * 60 * 60;
inline constexpr std::int64_t signed_at = 1735689600; // 2025-01-01
inline const oci::Platform amd64 = oci::Platform::parse("linux/amd64");
inline const oci::Platform arm64 = oci::Platform::parse("linux/arm64");

inline TestArchive hello_archive() {
  TestArchive archive;
  archive.date = signed_at;
  archive.valid_until = signed_at + 7 * day;
  archive.packages = {{.name = "hello", .files = {{"usr/bin/hello", std::string(50'000, 'h')}}},
                      {.name = "hello",
                       .version = "1.0-1",
                       .architecture = "arm64",
                       .files = {{"usr/bin/hello", "arm"}}},
                      {.name = "data", .architecture = "all", .files = {{"usr/share/data", "d"}}}};
  archive.source_files = {{"hello_2.0.orig.tar.xz", "the tarball"},
                          {"hello_2.0.orig.tar.xz.asc", "its signature"},
                          {"hello_2.0-1.dsc", "dsc"}};
  return archive;
}

/// A signed archive behind a loopback server, and a cache that is empty at first.
struct Fixture {
  io::TempDirectory directory{};
  SigningKey key{{.created = signed_at - day}};
  FileSite site{};
  test::HttpServer server{std::ref(site)};
  std::unique_ptr<http::HttpTransport> transport = http::make_transport();
  deb::ArchiveOptions options{
      .cache_dir = directory.path() / "cache",
      .verify = {.keyrings = {directory.path() / "keyring.gpg"}, .now = signed_at + day},
      .verdict_key = directory.path() / "state" / "verdict.key",
      .retry = {.first_delay = 1ms, .max_delay = 2ms}};

  Fixture() {
    io::write_file_atomically(options.verify.keyrings.front(), io::as_bytes(key.public_key()));
    publish(hello_archive());
  }

  void publish(const TestArchive& archive) {
    for (const auto& [path, content] : archive.files()) {
      site.put("/debian/" + path, content);
    }
    site.put("/debian/" + archive.in_release_path(), signed_release(archive));
  }
  [[nodiscard]] std::string signed_release(const TestArchive& archive) const {
    return key.clear_sign(archive.release_text(),
                          {.created = static_cast<std::uint32_t>(archive.date)});
  }
  [[nodiscard]] std::vector<deb::Source> sources(const std::string& suite = "trixie") const {
    return {{.mirror = server.url("/debian"), .suite = suite}};
  }
  /// A new object each time: what it knows comes from the cache on disk.
  [[nodiscard]] std::unique_ptr<deb::PackageSource> open() const {
    return deb::make_package_source(*transport, options);
  }
  [[nodiscard]] deb::PackageIndex snapshot(const oci::Platform& platform = amd64) const {
    return open()->snapshot(sources(), platform, {});
  }
  [[nodiscard]] Error snapshot_error() const {
    try {
      (void)snapshot();
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::internal, "it was accepted");
  }
  [[nodiscard]] std::string path_of_index(const std::string& architecture = "amd64") const {
    const std::string packed =
        test::xz(hello_archive().indexes().at("main/binary-" + architecture + "/Packages"));
    return "/debian/dists/trixie/main/binary-" + architecture + "/by-hash/SHA256/" +
           oci::Digest::of(packed).hex();
  }
  [[nodiscard]] deb::Package package(std::size_t number = 0) const {
    const TestPackage wanted = hello_archive().packages.at(number);
    const std::string bytes = wanted.deb();
    return {.name = wanted.name,
            .version = wanted.version,
            .architecture = wanted.architecture,
            .source_suite = "trixie",
            .url = server.url("/debian/" + TestArchive::pool_path(wanted)),
            .digest = oci::Digest::of(bytes),
            .size_bytes = bytes.size()};
  }
  [[nodiscard]] std::string package_path() const {
    return "/debian/" + TestArchive::pool_path(hello_archive().packages.at(0));
  }
  /// File names below a directory of the cache.
  [[nodiscard]] std::vector<std::string> cached(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(options.cache_dir / name)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
};

inline std::string content_of(const std::filesystem::path& file) {
  return io::read_text_file(file, 1 << 20);
}

template <class Fn>
Error error_of(Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "no error was thrown");
}

inline std::string flipped(std::string text, std::size_t at) {
  text.at(at) = static_cast<char>(text.at(at) ^ 1);
  return text;
}

} // namespace aipack::archive_test
