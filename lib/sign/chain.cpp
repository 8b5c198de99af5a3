// Certificate paths, RFC 5280, section 6, by OpenSSL; what code signing adds is checked here,
// because OpenSSL knows that purpose from 3.2 on only.
#include "aipack/core/text.hpp"
#include "aipack/sign/certificate.hpp"

#include "certificate_impl.hpp"
#include "json.hpp"
#include "time_text.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/x509v3.h>

namespace aipack::sign {
namespace {

[[noreturn]] void distrust(const Certificate& certificate, std::string_view cause) {
  throw Error(ErrorCode::corrupt,
              fmt::format("cannot trust certificate {}: {}", quoted(certificate.subject()), cause));
}

/// What the leaf says about itself.
void check_leaf(const Certificate& leaf) {
  X509* const x509 = leaf.impl().x509.get();
  const std::uint32_t extensions = X509_get_extension_flags(x509);
  if ((extensions & EXFLAG_CA) != 0) {
    distrust(leaf, "it is a certificate authority's own");
  }
  if ((extensions & EXFLAG_XKUSAGE) == 0 ||
      (X509_get_extended_key_usage(x509) & XKU_CODE_SIGN) == 0) {
    distrust(leaf, "its extended key usage is not code signing");
  }
  if ((extensions & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(x509) & KU_DIGITAL_SIGNATURE) == 0) {
    distrust(leaf, "its key usage is not digital signature");
  }
}

/// Every issuer must be an authority by its basic constraints, and may not be limited to other
/// purposes: RFC 5280, section 4.2.1.9, and the nesting of extended key usages that Go enforces.
void check_issuers(X509_STORE_CTX* context) {
  STACK_OF(X509)* const chain = X509_STORE_CTX_get0_chain(context);
  for (int at = 1; at < sk_X509_num(chain); ++at) {
    X509* const x509 = sk_X509_value(chain, at);
    const auto issuer =
        Certificate::parse_der(encode_der(i2d_X509, static_cast<const X509*>(x509)), "chain");
    if (X509_check_ca(x509) != 1) {
      distrust(issuer, "it issued another one and is no certificate authority");
    }
    if ((X509_get_extension_flags(x509) & EXFLAG_XKUSAGE) != 0 &&
        (X509_get_extended_key_usage(x509) & (XKU_CODE_SIGN | XKU_ANYEKU)) == 0) {
      distrust(issuer, "it may not issue for code signing");
    }
  }
}

/// Empty when the chain leads to the authority's anchor; else why not.
struct PathFailure {
  bool is_foreign; ///< no path at all: another authority may know better
  std::string cause;
};
std::optional<PathFailure> find_path(const CertificateChain& chain, const Authority& authority,
                                     std::chrono::sys_seconds time) {
  if (!authority.valid_for.contains(time)) {
    return PathFailure{true, "its authority is not trusted at " + rfc3339(time)};
  }
  const StorePtr store = store_of(authority, time);
  CertificateChain helpers(chain.begin() + 1, chain.end());
  helpers.insert(helpers.end(), authority.chain.begin(), authority.chain.end() - 1);
  const CertificatesPtr untrusted = stack_of(helpers);
  const OpenSslPtr<X509_STORE_CTX, X509_STORE_CTX_free> context(X509_STORE_CTX_new());
  require(context != nullptr &&
              X509_STORE_CTX_init(context.get(), store.get(), chain.front().impl().x509.get(),
                                  untrusted.get()) == 1,
          "verify a certificate");
  if (X509_verify_cert(context.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(context.get());
    drop_openssl_errors();
    const bool is_foreign = error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
                            error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
                            error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
                            error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
                            error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
    return PathFailure{is_foreign, is_foreign ? "no trusted authority issued it"
                                              : X509_verify_cert_error_string(error)};
  }
  check_issuers(context.get());
  return std::nullopt;
}

ValidFor read_valid_for(const JsonField& object) {
  const auto time_of = [&](const char* key) -> std::optional<std::chrono::sys_seconds> {
    const auto field = object.find(key);
    if (!field) {
      return std::nullopt;
    }
    const auto time = try_rfc3339(field->text());
    if (!time) {
      field->refuse("must be a time as in RFC 3339");
    }
    return time;
  };
  return {time_of("start"), time_of("end")};
}

std::vector<Authority> read_authorities(const JsonField& root, const char* key,
                                        std::string_view name) {
  std::vector<Authority> authorities;
  const auto list = root.find(key);
  if (!list) {
    return authorities;
  }
  for (const JsonField& entry : list->elements()) {
    Authority authority;
    const JsonField certificates = entry.get("certChain").get("certificates");
    for (const JsonField& certificate : certificates.elements()) {
      authority.chain.push_back(Certificate::parse_der(certificate.get("rawBytes").bytes(), name));
    }
    if (authority.chain.empty() || authority.chain.size() > max_chain_length) {
      certificates.refuse(fmt::format("must hold 1 to {} certificates", max_chain_length));
    }
    if (const auto valid_for = entry.find("validFor")) {
      authority.valid_for = read_valid_for(*valid_for);
    }
    authorities.push_back(std::move(authority));
  }
  return authorities;
}

} // namespace

StorePtr store_of(const Authority& authority, std::chrono::sys_seconds time) {
  constexpr int level_112_bits = 2;
  StorePtr store(X509_STORE_new());
  require(store != nullptr &&
              X509_STORE_add_cert(store.get(), authority.chain.back().impl().x509.get()) == 1,
          "make a store of certificates");
  X509_VERIFY_PARAM* const parameters = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_time(parameters, time.time_since_epoch().count());
  X509_VERIFY_PARAM_set_auth_level(parameters, level_112_bits);
  X509_VERIFY_PARAM_set_depth(parameters, static_cast<int>(max_chain_length));
  // The anchor is what the user names, self-signed or not.
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  return store;
}

CertificatesPtr stack_of(const std::vector<Certificate>& certificates) {
  CertificatesPtr stack(sk_X509_new_null());
  require(stack != nullptr, "make a list of certificates");
  for (const Certificate& certificate : certificates) {
    X509* const x509 = certificate.impl().x509.get();
    require(X509_up_ref(x509) == 1 && sk_X509_push(stack.get(), x509) > 0,
            "make a list of certificates");
  }
  return stack;
}

TrustedRoot TrustedRoot::parse(std::string_view json, std::string_view name) {
  const nlohmann::json document = parse_json(json, name, max_trusted_root_bytes);
  const JsonField root(document, name);
  const std::string type = root.get("mediaType").text();
  if (!type.starts_with("application/vnd.dev.sigstore.trustedroot")) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read trusted root {}: its media type is {}", quoted(name),
                            quoted(type)));
  }
  return {.certificate_authorities = read_authorities(root, "certificateAuthorities", name),
          .timestamp_authorities = read_authorities(root, "timestampAuthorities", name)};
}

std::vector<Authority> parse_authorities(std::string_view pem, std::string_view name) {
  CertificateChain intermediates;
  CertificateChain anchors;
  for (Certificate& certificate : parse_certificates(pem, name)) {
    const bool is_root = (X509_get_extension_flags(certificate.impl().x509.get()) & EXFLAG_SS) != 0;
    (is_root ? anchors : intermediates).push_back(std::move(certificate));
  }
  if (anchors.empty()) {
    throw Error(
        ErrorCode::invalid_input,
        fmt::format("cannot trust the certificates of {}: none of them is a root", quoted(name)));
  }
  std::vector<Authority> authorities;
  for (const Certificate& anchor : anchors) {
    Authority authority{.chain = intermediates};
    authority.chain.push_back(anchor);
    authorities.push_back(std::move(authority));
  }
  return authorities;
}

void check_path(const CertificateChain& chain, const std::vector<Authority>& authorities,
                std::chrono::sys_seconds time) {
  std::string cause = "no trusted authority issued it";
  for (const Authority& authority : authorities) {
    const auto failure = find_path(chain, authority, time);
    if (!failure) {
      return;
    }
    if (!failure->is_foreign || authorities.size() == 1) {
      cause = failure->cause;
    }
  }
  distrust(chain.front(), cause);
}

void check_signing_certificate(const CertificateChain& chain,
                               const std::vector<Authority>& authorities,
                               std::chrono::sys_seconds time) {
  if (chain.empty() || chain.size() > max_chain_length) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot trust a chain of {} certificates: 1 to {} are accepted",
                            chain.size(), max_chain_length));
  }
  (void)chain.front().public_key(); // throws for kinds, curves and sizes that are not accepted
  check_leaf(chain.front());
  check_path(chain, authorities, time);
}

} // namespace aipack::sign
