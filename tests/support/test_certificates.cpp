#include "support/test_certificates.hpp"

#include <cstdio>
#include <memory>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

namespace aipack::test {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;

void check(bool good) {
  if (!good) {
    throw std::runtime_error("cannot make a test certificate");
  }
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  check(key != nullptr);
  return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  check(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

struct Kind {
  std::string name;
  bool authority = false;
  bool expired = false;
  std::string alternative_names{};
  std::string usage{};
};

/// Signed by `issuer`, or by itself if that is null.
Certificate make_certificate(const Kind& kind, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  Certificate certificate(X509_new());
  X509* const raw = certificate.get();
  std::uint64_t serial = 0;
  check(raw != nullptr &&
        RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1 &&
        X509_set_version(raw, X509_VERSION_3) == 1 &&
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(raw), serial >> 1) == 1);
  constexpr long day = 24 * 60 * 60;
  X509_gmtime_adj(X509_getm_notBefore(raw), -2 * day);
  X509_gmtime_adj(X509_getm_notAfter(raw), kind.expired ? -day : 30 * day);
  X509_NAME* const name = X509_get_subject_name(raw);
  check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(kind.name.c_str()), -1,
                                   -1, 0) == 1);
  X509* const signer = issuer != nullptr ? issuer : raw;
  check(X509_set_issuer_name(raw, X509_get_subject_name(signer)) == 1 &&
        X509_set_pubkey(raw, key) == 1);
  add_extension(raw, signer, NID_basic_constraints,
                kind.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add_extension(raw, signer, NID_key_usage,
                kind.authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  add_extension(raw, signer, NID_subject_key_identifier, "hash");
  add_extension(raw, signer, NID_authority_key_identifier, "keyid:always");
  if (!kind.usage.empty()) {
    add_extension(raw, signer, NID_ext_key_usage, kind.usage);
  }
  if (!kind.alternative_names.empty()) {
    add_extension(raw, signer, NID_subject_alt_name, kind.alternative_names);
  }
  check(X509_sign(raw, issuer_key != nullptr ? issuer_key : key, EVP_sha256()) > 0);
  return certificate;
}

template <class Write>
void write_file(const std::filesystem::path& path, const Write& write) {
  const std::unique_ptr<std::FILE, Free> file(std::fopen(path.c_str(), "wbe"));
  check(file && write(file.get()) == 1 && std::fflush(file.get()) == 0);
}

void write_certificate(const std::filesystem::path& path, X509* certificate) {
  write_file(path, [&](std::FILE* file) { return PEM_write_X509(file, certificate); });
}

void write_key(const std::filesystem::path& path, EVP_PKEY* key) {
  write_file(path, [&](std::FILE* file) {
    return PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) {
    const bool address = name.find(':') != std::string::npos ||
                         name.find_first_not_of("0123456789.") == std::string::npos;
    out += (out.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
  }
  return out;
}

} // namespace

TestCertificates TestCertificates::make(const std::filesystem::path& directory) {
  return make(directory, {});
}

TestCertificates TestCertificates::make(const std::filesystem::path& directory,
                                        const Options& options) {
  const Key ca_key = make_key();
  const Certificate ca = make_certificate({.name = "test authority", .authority = true},
                                          ca_key.get(), nullptr, nullptr);
  const Key server_key = make_key();
  const Certificate server =
      make_certificate({.name = "test registry",
                        .expired = options.expired,
                        .alternative_names = alternative_names(options.names),
                        .usage = "serverAuth"},
                       server_key.get(), ca.get(), ca_key.get());
  const Key client_key = make_key();
  const Certificate client = make_certificate({.name = "test client", .usage = "clientAuth"},
                                              client_key.get(), ca.get(), ca_key.get());

  TestCertificates out{directory / "ca.pem", directory / "server.pem", directory / "server.key",
                       directory / "client.pem", directory / "client.key"};
  write_certificate(out.ca, ca.get());
  write_certificate(out.server, server.get());
  write_key(out.server_key, server_key.get());
  write_certificate(out.client, client.get());
  write_key(out.client_key, client_key.get());
  return out;
}

} // namespace aipack::test
