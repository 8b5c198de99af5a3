#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"
#include "aipack/sign/key.hpp"

#include "key_impl.hpp"
#include "pem.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rsa.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aipack::sign {
namespace {

KeyPtr from_pkcs8(std::string_view der, std::string_view name) {
  const auto info = decode_der<OpenSslPtr<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free>>(
      d2i_PKCS8_PRIV_KEY_INFO, der);
  KeyPtr key(info == nullptr ? nullptr : EVP_PKCS82PKEY(info.get()));
  drop_openssl_errors();
  if (key == nullptr) {
    throw FormatError(std::string(name), std::nullopt, "it is no DER private key (PKCS#8)");
  }
  return key;
}

/// PKCS#1 (RFC 8017, appendix A.1.2) and SEC1 (RFC 5915): the kind stands in the label only.
KeyPtr from_traditional(int kind, std::string_view der, std::string_view name) {
  const unsigned char* at = data_of(der);
  KeyPtr key(d2i_PrivateKey(kind, nullptr, &at, static_cast<long>(der.size())));
  drop_openssl_errors();
  if (key == nullptr || at != data_of(der) + der.size()) {
    throw FormatError(std::string(name), std::nullopt,
                      kind == EVP_PKEY_RSA ? "it is no DER private key (PKCS#1)"
                                           : "it is no DER private key (SEC1)");
  }
  return key;
}

/// The key of a block; null when it holds something else.
KeyPtr key_of(const PemBlock& block, std::string_view name, const PasswordSource& password) {
  const std::string& der = block.content.bytes;
  if (block.label == "ENCRYPTED SIGSTORE PRIVATE KEY" ||
      block.label == "ENCRYPTED COSIGN PRIVATE KEY") {
    return from_pkcs8(open_cosign_box(der, name, password).bytes, name);
  }
  if (block.label == "ENCRYPTED PRIVATE KEY") {
    return from_pkcs8(open_pkcs8(der, name, password).bytes, name);
  }
  const bool is_traditional = block.label == "RSA PRIVATE KEY" || block.label == "EC PRIVATE KEY";
  if (block.has_headers && is_traditional) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read private key {}: its PEM encryption derives the key by MD5",
                            quoted(name)))
        .with_hint("convert it with 'openssl pkcs8 -topk8'");
  }
  if (block.label == "PRIVATE KEY") {
    return from_pkcs8(der, name);
  }
  if (is_traditional) {
    return from_traditional(block.label[0] == 'R' ? EVP_PKEY_RSA : EVP_PKEY_EC, der, name);
  }
  if (block.label == "OPENSSH PRIVATE KEY") {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("cannot read private key {}: it is in OpenSSH's own format", quoted(name)))
        .with_hint("convert a copy with 'ssh-keygen -p -m PKCS8'");
  }
  return nullptr;
}

KeyPtr generate_key(const KeySpec& spec) {
  switch (spec.type) {
  case KeyType::ecdsa_p256:
    return KeyPtr(EVP_EC_gen("P-256"));
  case KeyType::ecdsa_p384:
    return KeyPtr(EVP_EC_gen("P-384"));
  case KeyType::ecdsa_p521:
    return KeyPtr(EVP_EC_gen("P-521"));
  case KeyType::rsa:
    return KeyPtr(EVP_RSA_gen(spec.rsa_bits));
  case KeyType::ed25519:
    return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  }
  return nullptr;
}

struct NamedSpec {
  std::string_view name;
  KeySpec spec;
};
constexpr std::array key_specs{
    NamedSpec{"p256", {KeyType::ecdsa_p256}},   NamedSpec{"p384", {KeyType::ecdsa_p384}},
    NamedSpec{"p521", {KeyType::ecdsa_p521}},   NamedSpec{"rsa2048", {KeyType::rsa, 2048}},
    NamedSpec{"rsa3072", {KeyType::rsa, 3072}}, NamedSpec{"rsa4096", {KeyType::rsa, 4096}},
    NamedSpec{"ed25519", {KeyType::ed25519}},
};

} // namespace

KeySpec KeySpec::parse(std::string_view name) {
  std::string names;
  for (const NamedSpec& known : key_specs) {
    if (known.name == name) {
      return known.spec;
    }
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  throw Error(ErrorCode::invalid_input,
              fmt::format("cannot make a key of type {}: the types are {}", quoted(name), names));
}

PrivateKey::PrivateKey(std::shared_ptr<const Impl> impl)
    : impl_(std::move(impl)), public_key_(public_key_of(impl_->key.get(), "private key")) {}

PrivateKey PrivateKey::generate(const KeySpec& spec) {
  if (spec.type == KeyType::rsa && spec.rsa_bits != 2048 && spec.rsa_bits != 3072 &&
      spec.rsa_bits != 4096) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot make an RSA key of {} bits: 2048, 3072 and 4096 are accepted",
                            spec.rsa_bits));
  }
  KeyPtr key = generate_key(spec);
  require(key != nullptr, "make a key");
  return PrivateKey(std::make_shared<const Impl>(Impl{std::move(key)}));
}

PrivateKey PrivateKey::parse(std::string_view pem, std::string_view name,
                             const PasswordSource& password) {
  for (const PemBlock& block : parse_pem(pem, name)) {
    if (KeyPtr key = key_of(block, name, password)) {
      check_pair(key.get(), public_key_of(key.get(), name), name);
      return PrivateKey(std::make_shared<const Impl>(Impl{std::move(key)}));
    }
    if (block.label.ends_with("PUBLIC KEY")) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read private key {}: it is a public key", quoted(name)));
    }
  }
  throw FormatError(std::string(name), std::nullopt, "there is no private key in it");
}

PrivateKey PrivateKey::read(const std::filesystem::path& path, const PasswordSource& password) {
  const auto file = std::make_shared<const io::File>(io::File::open(path));
  struct stat status {};
  if (::fstat(file->fd(), &status) != 0) {
    throw_errno("read private key " + quoted(path.string()), errno);
  }
  // Pipes and the like have no readers but those they were handed to.
  if (S_ISREG(status.st_mode) && (status.st_mode & 077) != 0) {
    throw Error(ErrorCode::denied,
                fmt::format("cannot use private key {}: its mode {:04o} lets others at it",
                            quoted(path.string()), status.st_mode & 07777))
        .with_hint(fmt::format("chmod 600 {}", path.string()));
  }
  io::FileSource source(file);
  WipedBytes text{io::read_text(source, max_key_file_bytes, quoted(path.string()))};
  return parse(text.bytes, path.string(), password);
}

std::string PrivateKey::sign(std::string_view message, Scheme scheme) const {
  return sign_with(impl_->key.get(), public_key_.type(), message, scheme);
}

Secret PrivateKey::to_pem(KeyFormat format, const Secret& password) const {
  if (format == KeyFormat::pkcs8_encrypted) {
    return Secret(write_pem("ENCRYPTED PRIVATE KEY", seal_pkcs8(impl_->key.get(), password)));
  }
  const OpenSslPtr<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free> info(
      EVP_PKEY2PKCS8(impl_->key.get()));
  require(info != nullptr, "write a key as PKCS#8");
  const WipedBytes der{encode_der(i2d_PKCS8_PRIV_KEY_INFO, info.get())};
  if (format == KeyFormat::cosign) {
    return Secret(
        write_pem("ENCRYPTED SIGSTORE PRIVATE KEY", seal_cosign_box(der.bytes, password)));
  }
  return Secret(write_pem("PRIVATE KEY", der.bytes));
}

void write_private_key(const std::filesystem::path& path, const Secret& pem) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) {
    throw Error(ErrorCode::already_exists,
                fmt::format("cannot write private key {}: the file exists", quoted(path.string())));
  }
  if (fd < 0) {
    throw_errno("write private key " + quoted(path.string()), errno);
  }
  io::File file(fd, path.string());
  try {
    file.write(io::as_bytes(pem.view()));
    file.sync();
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
}

} // namespace aipack::sign
