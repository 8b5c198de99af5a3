#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace aipack::test {

/// A private certificate authority with a server's and a client's certificate, as PEM files.
struct TestCertificates {
  std::filesystem::path ca;
  std::filesystem::path server;
  std::filesystem::path server_key;
  std::filesystem::path client;
  std::filesystem::path client_key;

  struct Options {
    /// DNS names and IP addresses of the server.
    std::vector<std::string> names{"127.0.0.1", "localhost"};
    bool expired = false; ///< the server's certificate ended yesterday
  };
  /// Makes them in a directory that exists. Each call makes another authority.
  static TestCertificates make(const std::filesystem::path& directory, const Options& options);
  static TestCertificates make(const std::filesystem::path& directory);
};

} // namespace aipack::test
