#include "aipack/sign/envelope.hpp"

#include "documents.hpp"
#include "encoding.hpp"

#include <fmt/format.h>

namespace aipack::sign {

std::string pre_authentication_encoding(std::string_view payload_type, std::string_view payload) {
  std::string encoded =
      fmt::format("DSSEv1 {} {} {} ", payload_type.size(), payload_type, payload.size());
  return encoded.append(payload);
}

Envelope sign_envelope(std::string payload, const Signer& signer) {
  return sign_envelope(std::move(payload), signer, default_scheme(signer.public_key().type()));
}

Envelope sign_envelope(std::string payload, const Signer& signer, Scheme scheme) {
  Envelope envelope{.payload = std::move(payload), .signatures = {}};
  // No key id: cosign skips signatures that carry one.
  envelope.signatures.push_back(
      {.signature = signer.sign(
           pre_authentication_encoding(envelope.payload_type, envelope.payload), scheme)});
  return envelope;
}

nlohmann::ordered_json envelope_json(const Envelope& envelope) {
  using Json = nlohmann::ordered_json;
  Json json = Json::object();
  json["payload"] = base64(envelope.payload);
  json["payloadType"] = envelope.payload_type;
  Json& signatures = json["signatures"] = Json::array();
  for (const Envelope::Signature& signature : envelope.signatures) {
    Json& entry = signatures.emplace_back(Json::object());
    if (!signature.key_id.empty()) {
      entry["keyid"] = signature.key_id;
    }
    entry["sig"] = base64(signature.signature);
  }
  return json;
}

Envelope read_envelope(const JsonField& field) {
  field.only({"payload", "payloadType", "signatures"});
  Envelope envelope{.payload_type = field.get("payloadType").text(),
                    .payload = field.get("payload").bytes(),
                    .signatures = {}};
  const JsonField list = field.get("signatures");
  for (const JsonField& entry : list.elements()) {
    entry.only({"keyid", "sig"});
    envelope.signatures.push_back(
        {.key_id = entry.text_or_empty("keyid"), .signature = entry.get("sig").bytes()});
  }
  if (envelope.signatures.empty() || envelope.signatures.size() > max_envelope_signatures) {
    list.refuse(fmt::format("must hold 1 to {} signatures", max_envelope_signatures));
  }
  return envelope;
}

std::string write(const Envelope& envelope) {
  return dump(envelope_json(envelope), "envelope");
}

Envelope parse_envelope(std::string_view json, std::string_view name) {
  const nlohmann::json document = parse_json(json, name, max_envelope_bytes);
  return read_envelope(JsonField(document, name));
}

} // namespace aipack::sign
