#include "aipack/sign/bundle.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/overloaded.hpp"
#include "aipack/core/text.hpp"

#include "documents.hpp"
#include "encoding.hpp"

#include <fmt/format.h>

namespace aipack::sign {
namespace {

using Json = nlohmann::ordered_json; // members stay in the order in which they are added

constexpr std::size_t max_timestamps = 32; // sigstore-go's limit as well
constexpr std::size_t max_log_entries = 32;

Json write_material(const Bundle& bundle) {
  Json json = Json::object();
  std::visit(overloaded{[&](const KeyHint& key) {
                          Json& hint = json["publicKey"] = Json::object();
                          if (!key.hint.empty()) {
                            hint["hint"] = key.hint;
                          }
                        },
                        [&](const CertificateChain& chain) {
                          if (chain.empty()) {
                            throw Error(ErrorCode::invalid_input,
                                        "cannot write bundle: it has an empty certificate chain");
                          }
                          // Version 0.3 allows the leaf only.
                          json["certificate"]["rawBytes"] = base64(chain.front().to_der());
                        }},
             bundle.material);
  if (!bundle.timestamps.empty()) {
    Json& list = json["timestampVerificationData"]["rfc3161Timestamps"] = Json::array();
    for (const std::string& timestamp : bundle.timestamps) {
      list.push_back({{"signedTimestamp", base64(timestamp)}});
    }
  }
  return json;
}

Json write_message_signature(const MessageSignature& message) {
  Json json = Json::object();
  if (!message.digest.empty()) {
    json["messageDigest"]["algorithm"] = message.algorithm;
    json["messageDigest"]["digest"] = base64(message.digest);
  }
  json["signature"] = base64(message.signature);
  return json;
}

Certificate read_certificate(const JsonField& field, std::string_view name) {
  field.only({"rawBytes"});
  return Certificate::parse_der(field.get("rawBytes").bytes(), name);
}

CertificateChain read_chain(const JsonField& field, std::string_view name) {
  field.only({"certificates"});
  CertificateChain chain;
  const JsonField list = field.get("certificates");
  for (const JsonField& entry : list.elements()) {
    chain.push_back(read_certificate(entry, name));
  }
  if (chain.empty() || chain.size() > max_chain_length) {
    list.refuse(fmt::format("must hold 1 to {} certificates", max_chain_length));
  }
  return chain;
}

/// The form of an entry, so that what is unknown is refused; its content proves nothing without
/// the log's key. Source: sigstore_rekor.proto, TransparencyLogEntry.
void check_log_entry(const JsonField& entry) {
  entry.only({"logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise",
              "inclusionProof", "canonicalizedBody"});
  if (const auto proof = entry.find("inclusionProof")) {
    proof->only({"logIndex", "rootHash", "treeSize", "hashes", "checkpoint"});
  }
}

std::variant<KeyHint, CertificateChain> read_key(const JsonField& material, std::string_view name,
                                                 BundleRules rules) {
  const auto key = material.find("publicKey");
  const auto certificate = material.find("certificate");
  const auto chain = material.find("x509CertificateChain");
  if (key.has_value() + certificate.has_value() + chain.has_value() != 1) {
    material.refuse("must hold a public key or a certificate");
  }
  if (key) {
    key->only({"hint"});
    return KeyHint{key->text_or_empty("hint")};
  }
  if (certificate) {
    return CertificateChain{read_certificate(*certificate, name)};
  }
  if (rules == BundleRules::sigstore) {
    chain->refuse("must not be there: version 0.3 holds one certificate");
  }
  return read_chain(*chain, name);
}

void read_material(const JsonField& material, std::string_view name, BundleRules rules,
                   Bundle& bundle) {
  material.only({"publicKey", "certificate", "x509CertificateChain", "tlogEntries",
                 "timestampVerificationData"});
  bundle.material = read_key(material, name, rules);
  if (const auto entries = material.find("tlogEntries")) {
    for (const JsonField& entry : entries->elements()) {
      check_log_entry(entry);
      if (++bundle.log_entries > max_log_entries) {
        entries->refuse(fmt::format("must hold at most {} entries", max_log_entries));
      }
    }
  }
  const auto data = material.find("timestampVerificationData");
  const auto list = data ? data->find("rfc3161Timestamps") : std::nullopt;
  if (data) {
    data->only({"rfc3161Timestamps"});
  }
  if (list) {
    for (const JsonField& entry : list->elements()) {
      entry.only({"signedTimestamp"});
      bundle.timestamps.push_back(entry.get("signedTimestamp").bytes());
    }
    if (bundle.timestamps.size() > max_timestamps) {
      list->refuse(fmt::format("must hold at most {} time stamps", max_timestamps));
    }
  }
}

MessageSignature read_message_signature(const JsonField& field) {
  field.only({"messageDigest", "signature"});
  MessageSignature message{.signature = field.get("signature").bytes()};
  if (const auto digest = field.find("messageDigest")) {
    digest->only({"algorithm", "digest"});
    message.algorithm = digest->get("algorithm").text();
    message.digest = digest->get("digest").bytes();
  }
  return message;
}

/// cosign skips both variations; a reader that took them would see more signatures than it does.
void check_single_signature(const Envelope& envelope, std::string_view name) {
  if (envelope.signatures.size() != 1) {
    throw FormatError(
        std::string(name), std::nullopt,
        fmt::format("its envelope has {} signatures instead of one", envelope.signatures.size()));
  }
  if (!envelope.signatures.front().key_id.empty()) {
    throw FormatError(std::string(name), std::nullopt, "its envelope's signature has a key id");
  }
}

} // namespace

std::string write(const Bundle& bundle) {
  Json json = Json::object();
  json["mediaType"] = bundle_media_type;
  json["verificationMaterial"] = write_material(bundle);
  std::visit(
      overloaded{[&](const Envelope& envelope) { json["dsseEnvelope"] = envelope_json(envelope); },
                 [&](const MessageSignature& message) {
                   json["messageSignature"] = write_message_signature(message);
                 }},
      bundle.content);
  return dump(json, "bundle");
}

Bundle parse_bundle(std::string_view json, std::string_view name, BundleRules rules) {
  const nlohmann::json document = parse_json(json, name, max_bundle_bytes);
  const JsonField root(document, name);
  root.only({"mediaType", "verificationMaterial", "dsseEnvelope", "messageSignature"});
  const std::string type = root.get("mediaType").text();
  if (type != bundle_media_type && type != bundle_media_type_alternative) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read bundle {}: its media type is {}; version 0.3 is accepted",
                            quoted(name), quoted(type)));
  }
  Bundle bundle;
  read_material(root.get("verificationMaterial"), name, rules, bundle);
  const auto envelope = root.find("dsseEnvelope");
  const auto message = root.find("messageSignature");
  if (envelope.has_value() == message.has_value()) {
    throw FormatError(std::string(name), std::nullopt,
                      "it must hold either an envelope or a message signature");
  }
  if (envelope) {
    bundle.content = read_envelope(*envelope);
    check_single_signature(std::get<Envelope>(bundle.content), name);
  } else {
    bundle.content = read_message_signature(*message);
  }
  return bundle;
}

} // namespace aipack::sign
