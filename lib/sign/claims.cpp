#include "claims.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "certificate_impl.hpp"
#include "json.hpp"
#include "trust.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/objects.h>

namespace aipack::sign {
namespace {

[[noreturn]] void refuse_policy(std::string_view cause) {
  throw Error(ErrorCode::invalid_input, fmt::format("cannot verify: {}", cause));
}

/// RFC 6901; empty when the pointer leads nowhere.
const nlohmann::json* find_field(const nlohmann::json& document, const std::string& pointer) {
  const nlohmann::json::json_pointer parsed(pointer);
  return document.contains(parsed) ? &document.at(parsed) : nullptr;
}

std::string text_of_field(const nlohmann::json& field) {
  return field.is_string() ? field.get<std::string>() : field.dump();
}

/// Value of the attribute "CN", "O", … in the name; empty when it is not there.
std::string attribute_of(const X509_NAME* name, std::string_view attribute) {
  const int kind = OBJ_txt2nid(std::string(attribute).c_str());
  const int at = kind == NID_undef ? -1 : X509_NAME_get_index_by_NID(name, kind, -1);
  if (at < 0) {
    return {};
  }
  unsigned char* text = nullptr;
  const int length =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  std::string value(reinterpret_cast<char*>(text),
                    length < 0 ? 0 : static_cast<std::size_t>(length));
  OPENSSL_free(text);
  drop_openssl_errors();
  return value;
}

} // namespace

void check_policy(const Policy& policy) {
  const bool trusts_somebody =
      !policy.keys.empty() || !policy.notation.certificates.empty() ||
      (!policy.identities.empty() && !policy.trusted_root.certificate_authorities.empty());
  if (!trusts_somebody) {
    refuse_policy("the policy names neither a key nor an authority with an identity");
  }
  if (policy.threshold == 0 && policy.attestations.empty()) {
    refuse_policy("the policy asks for no signature and no attestation");
  }
  if (policy.reference_match != ReferenceMatch::ignore && !policy.reference) {
    refuse_policy("the policy compares references, and there is none to compare with");
  }
  for (const AttestationRule& rule : policy.attestations) {
    for (const FieldRule& field : rule.fields) {
      try {
        (void)nlohmann::json::json_pointer(field.pointer);
      } catch (const nlohmann::json::exception&) {
        refuse_policy(fmt::format("{} is no JSON pointer", quoted(field.pointer)));
      }
    }
  }
}

void check_digest(const oci::Digest& expected, const oci::Digest& claimed) {
  if (expected != claimed) {
    distrust(fmt::format("it is for {}, another image", claimed.to_string()));
  }
}

const Subject& find_subject(const Statement& statement, const oci::Digest& expected) {
  for (const Subject& subject : statement.subjects) {
    const auto digest = subject.digests.find("sha256");
    if (digest != subject.digests.end() && digest->second == expected.hex()) {
      return subject;
    }
  }
  if (statement.subjects.size() == 1 && statement.subjects.front().digests.contains("sha256")) {
    distrust(fmt::format("it is for sha256:{}, another image",
                         statement.subjects.front().digests.at("sha256")));
  }
  distrust("none of its subjects is the image");
}

void check_annotations(const oci::Annotations& required, const oci::Annotations& present) {
  for (const auto& [key, value] : required) {
    const auto found = present.find(key);
    if (found == present.end()) {
      distrust(fmt::format("it lacks the annotation {}", quoted(key)));
    }
    if (found->second != value) {
      distrust(fmt::format("its annotation {} is {} instead of {}", quoted(key),
                           quoted(found->second), quoted(value)));
    }
  }
}

// containers-policy.json(5), "signedIdentity".
void check_reference(const Policy& policy, std::string_view claimed) {
  if (policy.reference_match == ReferenceMatch::ignore) {
    return;
  }
  const oci::Reference& asked = *policy.reference;
  const auto signed_as = oci::Reference::try_parse(claimed);
  if (!signed_as) {
    distrust(fmt::format("its reference {} is none", quoted(claimed)));
  }
  const bool same_repository =
      signed_as->registry() == asked.registry() && signed_as->repository() == asked.repository();
  const auto refuse = [&] {
    distrust(fmt::format("it is for {} instead of {}", quoted(signed_as->to_string()),
                         quoted(asked.to_string())));
  };
  if (!same_repository) {
    refuse();
  }
  const bool asks_by_tag = !asked.tag().empty();
  switch (policy.reference_match) {
  case ReferenceMatch::ignore:
  case ReferenceMatch::match_repository:
    return;
  case ReferenceMatch::match_repo_digest_or_exact:
    if (!asks_by_tag && asked.digest()) {
      return; // the digest itself was compared
    }
    [[fallthrough]];
  case ReferenceMatch::match_exact:
    if ((!asks_by_tag && !asked.digest()) || !(*signed_as == asked)) {
      refuse();
    }
    return;
  }
}

void check_no_reference_asked(const Policy& policy, std::string_view format) {
  if (policy.reference_match != ReferenceMatch::ignore) {
    distrust(fmt::format("a {} names no reference to compare", format));
  }
}

std::string unmet_field(const AttestationRule& rule, const std::string& predicate) {
  const auto document = nlohmann::json::parse(predicate);
  for (const FieldRule& field : rule.fields) {
    const nlohmann::json* const found = find_field(document, field.pointer);
    if (found == nullptr || found->is_null()) {
      return fmt::format("its field {} is missing", quoted(field.pointer));
    }
    if (field.value && text_of_field(*found) != *field.value) {
      return fmt::format("its field {} is {} instead of {}", quoted(field.pointer),
                         quoted(text_of_field(*found)), quoted(*field.value));
    }
  }
  return {};
}

bool matches_subject(const Certificate& certificate, std::string_view rule) {
  if (rule == "*") {
    return true;
  }
  const X509_NAME* const name = X509_get_subject_name(certificate.impl().x509.get());
  const auto parts = split(rule, ',');
  return std::all_of(parts.begin(), parts.end(), [&](std::string_view part) {
    const std::string_view text = trim(part);
    const std::size_t equals = text.find('=');
    return equals != std::string_view::npos && equals + 1 < text.size() &&
           attribute_of(name, text.substr(0, equals)) == text.substr(equals + 1);
  });
}

} // namespace aipack::sign
