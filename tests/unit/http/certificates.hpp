#pragma once

#include <array>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace aipack::testing {

/// PEM files.
struct Certificate {
  std::string certificate;
  std::string key;
};

/// Certificates of a private authority, made by the `openssl` command in a directory that vanishes.
class CertificateMaker {
public:
  CertificateMaker() {
    std::string name = (std::filesystem::temp_directory_path() / "aipack-tls-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error("cannot make a directory");
    }
    directory_ = name;
  }
  ~CertificateMaker() { std::filesystem::remove_all(directory_); }
  CertificateMaker(const CertificateMaker&) = delete;
  CertificateMaker& operator=(const CertificateMaker&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const {
    return (directory_ / name).string();
  }

  [[nodiscard]] Certificate authority(const std::string& name) const {
    const Certificate made = files(name);
    run("req -x509 " + new_key(made) + " -subj /CN=" + name + " -days 2 -out " + made.certificate +
        " -addext keyUsage=critical,keyCertSign");
    return made;
  }
  [[nodiscard]] Certificate server(const std::string& name, const Certificate& authority,
                                   const std::string& names = "IP:127.0.0.1,DNS:localhost") const {
    return issue(name, authority, "subjectAltName=" + names);
  }
  [[nodiscard]] Certificate client(const std::string& name, const Certificate& authority) const {
    return issue(name, authority, "extendedKeyUsage=clientAuth");
  }
  /// The key of `of`, under a password.
  [[nodiscard]] std::string encrypted(const Certificate& of) const {
    run("ec -aes128 -passout pass:secret -in " + of.key + " -out " + of.key + ".enc");
    return of.key + ".enc";
  }
  /// A directory in which OpenSSL finds `authority` by the hash of its name.
  [[nodiscard]] std::string hashed(const Certificate& authority) const {
    const auto directory = directory_ / "hashed";
    std::filesystem::create_directory(directory);
    std::filesystem::copy(authority.certificate, directory / "authority.pem");
    run("rehash " + directory.string());
    return directory.string();
  }

private:
  [[nodiscard]] Certificate files(const std::string& name) const {
    return {path(name + ".pem"), path(name + ".key")};
  }
  [[nodiscard]] static std::string new_key(const Certificate& made) {
    return "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout " + made.key;
  }
  [[nodiscard]] Certificate issue(const std::string& name, const Certificate& authority,
                                  const std::string& extension) const {
    const Certificate made = files(name);
    run("req -x509 " + new_key(made) + " -subj /CN=" + name + " -days 2 -out " + made.certificate +
        " -CA " + authority.certificate + " -CAkey " + authority.key +
        " -addext basicConstraints=critical,CA:false -addext " + extension);
    return made;
  }
  void run(const std::string& arguments) const {
    const std::string log = path("log");
    if (std::system(("openssl " + arguments + " >" + log + " 2>&1").c_str()) != 0) {
      throw std::runtime_error("openssl " + arguments + " failed");
    }
  }
  std::filesystem::path directory_;
};

} // namespace aipack::testing
