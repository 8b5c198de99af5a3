#include "aipack/sign/certificate.hpp"

#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include "certificate_impl.hpp"
#include "pem.hpp"
#include "time_text.hpp"

#include <array>
#include <regex>

#include <fmt/format.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

namespace aipack::sign {
namespace {

constexpr std::size_t max_identity_bytes = 2048;

// Fulcio's extensions, sigstore/fulcio docs/oid-info.md.
constexpr const char* oid_issuer = "1.3.6.1.4.1.57264.1.1";     // raw text
constexpr const char* oid_other_name = "1.3.6.1.4.1.57264.1.7"; // "user!domain" in a SAN
constexpr const char* oid_issuer_v2 = "1.3.6.1.4.1.57264.1.8";  // DER UTF8String

std::string text_of_name(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  require(bio != nullptr && X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) >= 0,
          "print a name");
  return std::string(text_of(bio.get()));
}

std::string_view content_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

bool has_oid(const ASN1_OBJECT* object, const char* oid) {
  std::array<char, 64> text{};
  OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 1);
  return std::string_view(text.data()) == oid;
}

/// The content of the extension; empty when it is absent.
std::optional<std::string> extension(const X509* x509, const char* oid) {
  for (int at = 0; at < X509_get_ext_count(x509); ++at) {
    X509_EXTENSION* const candidate = X509_get_ext(x509, at);
    if (has_oid(X509_EXTENSION_get_object(candidate), oid)) {
      return std::string(content_of(X509_EXTENSION_get_data(candidate)));
    }
  }
  return std::nullopt;
}

/// The text of a general name that can be an identity; empty for other kinds.
std::string identity_of(const GENERAL_NAME* name) {
  int kind = 0;
  const void* const value = GENERAL_NAME_get0_value(name, &kind);
  if (kind == GEN_EMAIL || kind == GEN_URI || kind == GEN_DNS) {
    return std::string(content_of(static_cast<const ASN1_IA5STRING*>(value)));
  }
  if (kind == GEN_OTHERNAME) {
    const auto* const other = static_cast<const OTHERNAME*>(value);
    if (has_oid(other->type_id, oid_other_name) && other->value->type == V_ASN1_UTF8STRING) {
      return std::string(content_of(other->value->value.utf8string));
    }
  }
  return {};
}

std::regex compile(const std::string& pattern) {
  try {
    return std::regex(pattern, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error&) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot match identities with {}: it is no regular expression",
                            quoted(pattern)));
  }
}

bool matches(const std::string& rule, bool is_pattern, const std::string& text) {
  if (!is_pattern) {
    return rule == text;
  }
  return text.size() <= max_identity_bytes && std::regex_match(text, compile(rule));
}

} // namespace

Certificate Certificate::parse_der(std::string_view der, std::string_view name) {
  const std::string file(name);
  if (der.size() > max_certificate_bytes) {
    throw FormatError(
        file, std::nullopt,
        fmt::format("its certificate is larger than {} bytes", max_certificate_bytes));
  }
  X509Ptr x509 = decode_der<X509Ptr>(d2i_X509, der);
  if (x509 == nullptr) {
    throw FormatError(file, std::nullopt, "it is no DER certificate");
  }
  // Fills OpenSSL's cache of extensions, so that later reads, from any thread, do not write.
  if (X509_check_purpose(x509.get(), -1, 0) != 1 ||
      (X509_get_extension_flags(x509.get()) & EXFLAG_INVALID) != 0) {
    drop_openssl_errors();
    throw FormatError(file, std::nullopt, "an extension of its certificate is damaged");
  }
  const auto from = try_time(X509_get0_notBefore(x509.get()));
  const auto until = try_time(X509_get0_notAfter(x509.get()));
  if (!from || !until) {
    throw FormatError(file, std::nullopt, "its certificate has no valid times");
  }
  return Certificate(
      std::make_shared<const Impl>(Impl{std::move(x509), std::string(der), *from, *until}));
}

const std::string& Certificate::to_der() const noexcept {
  return impl_->der;
}

std::string Certificate::to_pem() const {
  return write_pem("CERTIFICATE", impl_->der);
}

oci::Digest Certificate::fingerprint() const {
  return oci::Digest::of(impl_->der);
}

PublicKey Certificate::public_key() const {
  const X509_PUBKEY* const key = X509_get_X509_PUBKEY(impl_->x509.get());
  return PublicKey::parse_der(encode_der(i2d_X509_PUBKEY, key), subject());
}

std::string Certificate::subject() const {
  return text_of_name(X509_get_subject_name(impl_->x509.get()));
}

std::string Certificate::issuer() const {
  return text_of_name(X509_get_issuer_name(impl_->x509.get()));
}

std::chrono::sys_seconds Certificate::valid_from() const noexcept {
  return impl_->valid_from;
}

std::chrono::sys_seconds Certificate::valid_until() const noexcept {
  return impl_->valid_until;
}

std::vector<std::string> Certificate::identities() const {
  const OpenSslPtr<GENERAL_NAMES, GENERAL_NAMES_free> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(impl_->x509.get(), NID_subject_alt_name, nullptr, nullptr)));
  drop_openssl_errors();
  std::vector<std::string> identities;
  for (int at = 0; at < sk_GENERAL_NAME_num(names.get()); ++at) {
    std::string text = identity_of(sk_GENERAL_NAME_value(names.get(), at));
    // A name with a zero in it reads as another one in C (CVE-2009-2408).
    if (!text.empty() && text.find('\0') == std::string::npos) {
      identities.push_back(std::move(text));
    }
  }
  return identities;
}

std::string Certificate::identity_issuer() const {
  const auto older = extension(impl_->x509.get(), oid_issuer);
  const auto newer = extension(impl_->x509.get(), oid_issuer_v2);
  if (!newer) {
    return older.value_or("");
  }
  const auto text =
      decode_der<OpenSslPtr<ASN1_UTF8STRING, ASN1_UTF8STRING_free>>(d2i_ASN1_UTF8STRING, *newer);
  if (text == nullptr || (older && *older != content_of(text.get()))) {
    throw FormatError(subject(), std::nullopt,
                      "its certificate's two issuer extensions are damaged or disagree");
  }
  return std::string(content_of(text.get()));
}

std::vector<Certificate> parse_certificates(std::string_view pem, std::string_view name) {
  std::vector<Certificate> certificates;
  for (const PemBlock& block : parse_pem(pem, name)) {
    if (block.label == "CERTIFICATE") {
      certificates.push_back(Certificate::parse_der(block.content.bytes, name));
    }
  }
  if (certificates.empty()) {
    throw FormatError(std::string(name), std::nullopt, "there is no certificate in it");
  }
  return certificates;
}

std::vector<Certificate> read_certificates(const std::filesystem::path& path) {
  return parse_certificates(io::read_text_file(path, max_trusted_root_bytes), path.string());
}

std::optional<std::string> Identity::match(const Certificate& certificate) const {
  if (!issuer.empty() && !matches(issuer, is_pattern, certificate.identity_issuer())) {
    return std::nullopt;
  }
  for (const std::string& candidate : certificate.identities()) {
    if (matches(name, is_pattern, candidate)) {
      return candidate;
    }
  }
  return std::nullopt;
}

} // namespace aipack::sign
