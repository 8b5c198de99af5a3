#include "notation.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "certificate_impl.hpp"
#include "encoding.hpp"
#include "json.hpp"
#include "signing_impl.hpp"
#include "time_text.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/x509v3.h>

namespace aipack::sign {
namespace {

using Json = nlohmann::ordered_json; // members stay in the order in which they are added

constexpr const char* scheme_header = "io.cncf.notary.signingScheme";
constexpr const char* time_header = "io.cncf.notary.signingTime";
constexpr const char* expiry_header = "io.cncf.notary.expiry";
constexpr const char* agent_header = "io.cncf.notary.signingAgent";
constexpr const char* timestamp_header = "io.cncf.notary.timestampSignature";

/// Octets of r and of s.
std::size_t coordinate_bytes(KeyType type) noexcept {
  switch (type) {
  case KeyType::ecdsa_p256:
    return 32;
  case KeyType::ecdsa_p384:
    return 48;
  case KeyType::ecdsa_p521:
    return 66;
  case KeyType::rsa:
  case KeyType::ed25519:
    break;
  }
  return 0;
}

using SignaturePtr = OpenSslPtr<ECDSA_SIG, ECDSA_SIG_free>;
using NumberPtr = OpenSslPtr<BIGNUM, BN_free>;

[[noreturn]] void distrust(const Certificate& certificate, std::string_view cause) {
  throw Error(ErrorCode::corrupt,
              fmt::format("cannot trust certificate {}: {}", quoted(certificate.subject()), cause));
}

std::chrono::sys_seconds time_of(const JsonField& field) {
  if (const auto time = try_rfc3339(field.text())) {
    return *time;
  }
  field.refuse("must be a time as in RFC 3339");
}

std::string url_bytes(const JsonField& field) {
  if (auto bytes = try_base64_url(field.text())) {
    return *std::move(bytes);
  }
  field.refuse("must be unpadded base64url");
}

/// RFC 7515, section 4.1.11: a header that must be understood is there and is known.
void check_critical(const JsonField& header) {
  static constexpr std::array known{scheme_header, expiry_header};
  const JsonField list = header.get("crit");
  bool has_scheme = false;
  for (const JsonField& entry : list.elements()) {
    const std::string name = entry.text();
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      list.refuse(fmt::format("demands {}, which is not known", quoted(name)));
    }
    has_scheme = has_scheme || name == scheme_header;
    (void)header.get(name.c_str());
  }
  if (!has_scheme) {
    list.refuse(fmt::format("must list {}", quoted(scheme_header)));
  }
}

} // namespace

std::string_view notation_algorithm(const PublicKey& key) {
  switch (key.type()) {
  case KeyType::ecdsa_p256:
    return "ES256";
  case KeyType::ecdsa_p384:
    return "ES384";
  case KeyType::ecdsa_p521:
    return "ES512";
  case KeyType::rsa:
    switch (key.bits()) {
    case 2048:
      return "PS256";
    case 3072:
      return "PS384";
    case 4096:
      return "PS512";
    default:
      break;
    }
    break;
  case KeyType::ed25519:
    break;
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("cannot use a key of type {} and {} bits for notation: ECDSA and RSA of "
                          "2048, 3072 and 4096 bits are accepted",
                          to_string(key.type()), key.bits()));
}

Scheme notation_scheme_of(const PublicKey& key) {
  const std::string_view algorithm = notation_algorithm(key);
  const bool is_rsa = key.type() == KeyType::rsa;
  if (algorithm.ends_with("256")) {
    return is_rsa ? Scheme::rsa_pss_sha256 : Scheme::ecdsa_sha256;
  }
  if (algorithm.ends_with("384")) {
    return is_rsa ? Scheme::rsa_pss_sha384 : Scheme::ecdsa_sha384;
  }
  return is_rsa ? Scheme::rsa_pss_sha512 : Scheme::ecdsa_sha512;
}

std::optional<std::string> ecdsa_to_raw(std::string_view der, KeyType type) {
  const auto signature = decode_der<SignaturePtr>(d2i_ECDSA_SIG, der);
  if (signature == nullptr) {
    return std::nullopt;
  }
  const std::size_t length = coordinate_bytes(type);
  std::string raw(2 * length, '\0');
  const auto pad = [&](const BIGNUM* number, std::size_t at) {
    return BN_bn2binpad(number, data_of(raw) + at, static_cast<int>(length)) >= 0;
  };
  if (!pad(ECDSA_SIG_get0_r(signature.get()), 0) ||
      !pad(ECDSA_SIG_get0_s(signature.get()), length)) {
    drop_openssl_errors();
    return std::nullopt;
  }
  return raw;
}

std::optional<std::string> ecdsa_to_der(std::string_view raw, KeyType type) {
  const std::size_t length = coordinate_bytes(type);
  if (length == 0 || raw.size() != 2 * length) {
    return std::nullopt;
  }
  const SignaturePtr signature(ECDSA_SIG_new());
  NumberPtr r(BN_bin2bn(data_of(raw), static_cast<int>(length), nullptr));
  NumberPtr s(BN_bin2bn(data_of(raw) + length, static_cast<int>(length), nullptr));
  require(signature != nullptr && r != nullptr && s != nullptr &&
              ECDSA_SIG_set0(signature.get(), r.get(), s.get()) == 1,
          "read a signature");
  (void)r.release(); // both belong to `signature` now
  (void)s.release();
  return encode_der(i2d_ECDSA_SIG, static_cast<const ECDSA_SIG*>(signature.get()));
}

std::string notation_thumbprints(const CertificateChain& chain) {
  Json list = Json::array();
  for (const Certificate& certificate : chain) {
    list.push_back(certificate.fingerprint().hex());
  }
  return list.dump();
}

/// signature-specification.md, "Certificate Requirements".
void check_notation_chain(const CertificateChain& chain) {
  if (chain.empty() || chain.size() > max_chain_length) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot trust a chain of {} certificates: 1 to {} are accepted",
                            chain.size(), max_chain_length));
  }
  const Certificate& leaf = chain.front();
  (void)notation_algorithm(leaf.public_key());
  X509* const x509 = leaf.impl().x509.get();
  const std::uint32_t flags = X509_get_extension_flags(x509);
  if ((flags & EXFLAG_CA) != 0) {
    distrust(leaf, "it is a certificate authority's own");
  }
  const int usage_at = X509_get_ext_by_NID(x509, NID_key_usage, -1);
  if (usage_at < 0 || X509_EXTENSION_get_critical(X509_get_ext(x509, usage_at)) != 1) {
    distrust(leaf, "its key usage is not there, or not critical");
  }
  if (X509_get_key_usage(x509) != KU_DIGITAL_SIGNATURE) {
    distrust(leaf, "its key usage is not digital signature alone");
  }
  if ((flags & EXFLAG_XKUSAGE) != 0 && (X509_get_extended_key_usage(x509) & XKU_CODE_SIGN) == 0) {
    distrust(leaf, "its extended key usage is not code signing");
  }
  for (std::size_t at = 0; at < chain.size(); ++at) {
    const bool is_last = at + 1 == chain.size();
    X509* const subject = chain[at].impl().x509.get();
    X509* const issuer = chain[is_last ? at : at + 1].impl().x509.get();
    EVP_PKEY* const key = X509_get0_pubkey(issuer);
    // Names and signatures; whether issuers may issue is a question of the path.
    if (X509_NAME_cmp(X509_get_issuer_name(subject), X509_get_subject_name(issuer)) != 0 ||
        key == nullptr || X509_verify(subject, key) != 1) {
      drop_openssl_errors();
      distrust(chain[at], is_last ? "the chain does not end in a self-signed root"
                                  : "the next of its chain did not issue it");
    }
  }
}

NotationTarget parse_notation_payload(std::string_view json, std::string_view name) {
  const nlohmann::json document = parse_json(json, name, max_notation_bytes);
  const JsonField target = JsonField(document, name).get("targetArtifact");
  const JsonField digest = target.get("digest");
  const auto parsed = oci::Digest::try_parse(digest.text());
  if (!parsed) {
    digest.refuse("must be a sha256 digest");
  }
  NotationTarget found{.descriptor = {.media_type = target.get("mediaType").text(),
                                      .digest = *parsed,
                                      .size_bytes = target.get("size").count()},
                       .metadata = {}};
  if (const auto annotations = target.find("annotations")) {
    found.metadata = annotations->texts();
  }
  return found;
}

NotationEnvelope parse_notation_jws(std::string_view json, std::string_view name) {
  const nlohmann::json document = parse_json(json, name, max_notation_bytes);
  const JsonField root(document, name);
  root.only({"payload", "protected", "header", "signature"});
  const std::string protected_bytes = url_bytes(root.get("protected"));
  const nlohmann::json protected_json = parse_json(protected_bytes, name, max_notation_bytes);
  const JsonField header(protected_json, name, "protected");
  check_critical(header);
  if (const JsonField type = header.get("cty"); type.text() != notation_payload_type) {
    type.refuse(fmt::format("must be {}", quoted(notation_payload_type)));
  }
  if (const JsonField scheme = header.get(scheme_header); scheme.text() != notation_scheme) {
    scheme.refuse(fmt::format("must be {}", quoted(notation_scheme)));
  }
  NotationEnvelope envelope{.algorithm = header.get("alg").text(),
                            .signed_bytes =
                                root.get("protected").text() + "." + root.get("payload").text(),
                            .signature = url_bytes(root.get("signature")),
                            .payload = url_bytes(root.get("payload")),
                            .chain = {},
                            .signing_time = time_of(header.get(time_header))};
  if (const auto expiry = header.find(expiry_header)) {
    envelope.expiry = time_of(*expiry);
  }
  const JsonField unprotected = root.get("header");
  const JsonField certificates = unprotected.get("x5c");
  for (const JsonField& certificate : certificates.elements()) {
    envelope.chain.push_back(Certificate::parse_der(certificate.bytes(), name));
    if (envelope.chain.size() > max_chain_length) {
      certificates.refuse(fmt::format("must hold at most {} certificates", max_chain_length));
    }
  }
  if (const auto timestamp = unprotected.find(timestamp_header)) {
    envelope.timestamp = timestamp->bytes();
  }
  return envelope;
}

std::string sign_notation(const oci::Descriptor& image, const oci::Annotations& metadata,
                          const Signatory& signatory, std::chrono::sys_seconds time) {
  check_signatory(signatory);
  if (signatory.certificates.empty()) {
    throw Error(ErrorCode::invalid_input,
                "cannot sign for notation: it needs the key's certificates, leaf to root");
  }
  try {
    check_notation_chain(signatory.certificates);
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_input, "cannot sign for notation: " + error.message());
  }
  Json target = Json::object();
  target["mediaType"] = image.media_type;
  target["digest"] = image.digest.to_string();
  target["size"] = image.size_bytes;
  if (!metadata.empty()) {
    target["annotations"] = metadata;
  }
  Json payload = Json::object();
  payload["targetArtifact"] = std::move(target);

  const PublicKey key = signatory.signer.public_key();
  Json header = Json::object();
  header["alg"] = notation_algorithm(key);
  header["crit"] = Json::array({scheme_header});
  header["cty"] = notation_payload_type;
  header[scheme_header] = notation_scheme;
  header[time_header] = rfc3339(time);

  const std::string payload_text = base64_url(dump(payload, "notation payload"));
  const std::string header_text = base64_url(header.dump());
  std::string signature =
      signatory.signer.sign(header_text + "." + payload_text, notation_scheme_of(key));
  if (key.type() != KeyType::rsa) {
    signature = ecdsa_to_raw(signature, key.type()).value();
  }
  Json unprotected = Json::object();
  Json& certificates = unprotected["x5c"] = Json::array();
  for (const Certificate& certificate : signatory.certificates) {
    certificates.push_back(base64(certificate.to_der()));
  }
  unprotected[agent_header] = "aipack";
  if (const std::string timestamp = timestamp_token_of(signatory, signature); !timestamp.empty()) {
    unprotected[timestamp_header] = base64(timestamp);
  }
  Json jws = Json::object();
  jws["payload"] = payload_text;
  jws["protected"] = header_text;
  jws["header"] = std::move(unprotected);
  jws["signature"] = base64_url(signature);
  return jws.dump();
}

Artifact make_notation_referrer(const oci::Descriptor& image, std::string jws,
                                std::chrono::sys_seconds created) {
  const NotationEnvelope envelope = parse_notation_jws(jws, "signature");
  return make_referrer(
      image, notation_artifact_type, notation_jws_media_type, std::move(jws),
      {{std::string(notation_thumbprint_annotation), notation_thumbprints(envelope.chain)}},
      created);
}

} // namespace aipack::sign
