#pragma once

#include "aipack/sign/certificate.hpp"
#include "aipack/sign/key.hpp"

#include "openssl_keys.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <openssl/pem.h>
#include <openssl/ts.h>
#include <openssl/x509v3.h>

/// A private certificate authority and a time-stamping one, by OpenSSL alone.
namespace aipack::testing {

inline constexpr std::chrono::sys_seconds now{
    std::chrono::sys_days{std::chrono::year{2026} / std::chrono::June / 1}};

struct FreeX509 {
  void operator()(X509* x509) const noexcept { X509_free(x509); }
};
using OpenSslX509 = std::unique_ptr<X509, FreeX509>;

inline OpenSslKey openssl_key(const sign::PrivateKey& key) {
  const auto pem = key.to_pem(sign::KeyFormat::pkcs8);
  BIO* const bio = BIO_new_mem_buf(pem.view().data(), static_cast<int>(pem.view().size()));
  OpenSslKey read(PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr));
  BIO_free_all(bio);
  return read;
}

inline std::string x509_der(const X509* x509) {
  unsigned char* out = nullptr;
  const int length = i2d_X509(x509, &out);
  std::string der(reinterpret_cast<char*>(out), static_cast<std::size_t>(length));
  OPENSSL_free(out);
  return der;
}

/// What a certificate says; empty texts leave the extension out.
struct CertificateSpec {
  std::string common_name = "release";
  std::chrono::sys_seconds from = now - std::chrono::hours(24);
  std::chrono::sys_seconds until = now + std::chrono::hours(24);
  std::string basic_constraints{};
  std::string key_usage = "critical,digitalSignature";
  std::string extended_key_usage = "codeSigning";
  std::string alternative_name = "email:release@example.org";
  std::string issuer_v1{};
  std::string issuer_v2{};
  const char* digest = "SHA256";
};

class Issued {
public:
  /// `issuer` null: self-signed.
  Issued(const CertificateSpec& spec, OpenSslKey key, const Issued* issuer = nullptr)
      : key_(std::move(key)), x509_(X509_new()) {
    X509* const x509 = x509_.get();
    const Issued& signer = issuer == nullptr ? *this : *issuer;
    X509_set_version(x509, 2);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
    ASN1_TIME_set(X509_getm_notBefore(x509), spec.from.time_since_epoch().count());
    ASN1_TIME_set(X509_getm_notAfter(x509), spec.until.time_since_epoch().count());
    X509_NAME* const name = X509_get_subject_name(x509);
    add_name(name, "C", "US");
    add_name(name, "O", "Example");
    add_name(name, "CN", spec.common_name);
    X509_set_issuer_name(x509, X509_get_subject_name(signer.x509_.get()));
    X509_set_pubkey(x509, key_.get());
    add(NID_basic_constraints, spec.basic_constraints, signer);
    add(NID_key_usage, spec.key_usage, signer);
    add(NID_ext_key_usage, spec.extended_key_usage, signer);
    add(NID_subject_alt_name, spec.alternative_name, signer);
    add_raw("1.3.6.1.4.1.57264.1.1", spec.issuer_v1);
    if (!spec.issuer_v2.empty()) {
      add_raw("1.3.6.1.4.1.57264.1.8",
              std::string("\x0c") + static_cast<char>(spec.issuer_v2.size()) + spec.issuer_v2);
    }
    const bool hashes_itself = EVP_PKEY_is_a(signer.key_.get(), "ED25519") == 1;
    X509_sign(x509, signer.key_.get(), hashes_itself ? nullptr : EVP_get_digestbyname(spec.digest));
  }

  [[nodiscard]] X509* x509() const noexcept { return x509_.get(); }
  [[nodiscard]] EVP_PKEY* key() const noexcept { return key_.get(); }
  [[nodiscard]] std::string der() const { return x509_der(x509_.get()); }
  [[nodiscard]] sign::Certificate certificate() const {
    return sign::Certificate::parse_der(der(), "certificate");
  }

private:
  static void add_name(X509_NAME* name, const char* field, const std::string& value) {
    X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(value.data()),
                               static_cast<int>(value.size()), -1, 0);
  }
  void add(int kind, const std::string& value, const Issued& signer) {
    if (value.empty()) {
      return;
    }
    X509V3_CTX context;
    X509V3_set_ctx(&context, signer.x509_.get(), x509_.get(), nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_nconf_nid(nullptr, &context, kind, value.c_str());
    X509_add_ext(x509_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  void add_raw(const char* oid, const std::string& value) {
    if (value.empty()) {
      return;
    }
    ASN1_OCTET_STRING* const content = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(content, reinterpret_cast<const unsigned char*>(value.data()),
                          static_cast<int>(value.size()));
    ASN1_OBJECT* const object = OBJ_txt2obj(oid, 1);
    X509_EXTENSION* const extension = X509_EXTENSION_create_by_OBJ(nullptr, object, 0, content);
    X509_add_ext(x509_.get(), extension, -1);
    X509_EXTENSION_free(extension);
    ASN1_OBJECT_free(object);
    ASN1_OCTET_STRING_free(content);
  }

  OpenSslKey key_;
  OpenSslX509 x509_;
};

inline CertificateSpec authority_spec(std::string name = "Example Root") {
  return {.common_name = std::move(name),
          .from = now - std::chrono::hours(24 * 365),
          .until = now + std::chrono::hours(24 * 365),
          .basic_constraints = "critical,CA:TRUE",
          .key_usage = "critical,keyCertSign,cRLSign",
          .extended_key_usage = "",
          .alternative_name = ""};
}

inline Issued make_authority(std::string name = "Example Root") {
  return Issued(authority_spec(std::move(name)), openssl_ec("P-256"));
}

inline CertificateSpec timestamp_spec() {
  return {.common_name = "Clock",
          .from = now - std::chrono::hours(24 * 300),
          .until = now + std::chrono::hours(24 * 300),
          .extended_key_usage = "critical,timeStamping",
          .alternative_name = ""};
}

/// Answers requests as a time-stamping authority does whose clock stands at `time`.
class TimestampServer {
public:
  TimestampServer(const Issued& certificate, std::chrono::sys_seconds time)
      : certificate_(certificate), time_(time) {}

  [[nodiscard]] std::string answer(const std::string& request_der) const {
    TS_RESP_CTX* const context = TS_RESP_CTX_new();
    TS_RESP_CTX_set_signer_cert(context, certificate_.x509());
    TS_RESP_CTX_set_signer_key(context, certificate_.key());
    TS_RESP_CTX_set_signer_digest(context, EVP_sha256());
    TS_RESP_CTX_add_md(context, EVP_sha256());
    ASN1_OBJECT* const policy = OBJ_txt2obj("1.2.3.4.1", 1);
    TS_RESP_CTX_set_def_policy(context, policy);
    ASN1_OBJECT_free(policy);
    TS_RESP_CTX_set_time_cb(
        context,
        [](TS_RESP_CTX*, void* data, long* seconds, long* microseconds) {
          *seconds = static_cast<const TimestampServer*>(data)->time_.time_since_epoch().count();
          *microseconds = 0;
          return 1;
        },
        const_cast<TimestampServer*>(this));
    TS_RESP_CTX_set_serial_cb(
        context,
        [](TS_RESP_CTX*, void*) {
          ASN1_INTEGER* const serial = ASN1_INTEGER_new();
          ASN1_INTEGER_set(serial, 7);
          return serial;
        },
        nullptr);
    BIO* const bio = BIO_new_mem_buf(request_der.data(), static_cast<int>(request_der.size()));
    TS_RESP* const response = TS_RESP_create_response(context, bio);
    BIO_free_all(bio);
    unsigned char* out = nullptr;
    const int length = i2d_TS_RESP(response, &out);
    std::string der(reinterpret_cast<char*>(out), static_cast<std::size_t>(length));
    OPENSSL_free(out);
    TS_RESP_free(response);
    TS_RESP_CTX_free(context);
    return der;
  }

private:
  const Issued& certificate_;
  std::chrono::sys_seconds time_;
};

} // namespace aipack::testing
