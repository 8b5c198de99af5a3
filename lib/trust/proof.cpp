#include "proof.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"

#include "verification_impl.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace aipack::trust {
namespace {

constexpr unsigned requests_at_once = 16;

/// What must be found beside one image.
struct Expected {
  oci::Descriptor image;
  bool is_signed = false;
  std::vector<std::string_view> payloads{};
  std::vector<oci::Digest> documents{};
};

std::vector<Expected> expectations(const Annotating& what, const Payloads& payloads,
                                   const SigningOptions& options) {
  std::map<oci::Digest, Expected> expected;
  const auto of = [&](const oci::Descriptor& image) -> Expected& {
    return expected.emplace(image.digest, Expected{.image = image}).first->second;
  };
  for (const auto& image : what.signed_images) {
    of(image).is_signed = true;
  }
  for (std::size_t i = 0; i < what.attestations.size(); ++i) {
    for (const auto& image : what.attestations[i].images) {
      of(image).payloads.emplace_back(payloads.attestations[i]);
    }
  }
  for (const auto& payload : payloads.bundles) {
    of(what.signed_images.front()).payloads.emplace_back(payload);
  }
  for (const auto& document : what.documents) {
    of(document.image)
        .documents.push_back(
            document_artifact(document, options.created).document.descriptor.digest);
  }
  std::vector<Expected> list;
  for (auto& [digest, item] : expected) {
    list.push_back(std::move(item));
  }
  return list;
}

/// Signatures at the tag, by this key and with these annotations.
bool has_simple(const sign::Signatory& signatory, const oci::Descriptor& image,
                const SigningOptions& options, const std::vector<sign::Candidate>& candidates) {
  const sign::Policy policy{.keys = {signatory.signer.public_key()},
                            .image = image,
                            .annotations = options.annotations,
                            .ignored_formats = {sign::Format::bundle, sign::Format::envelope,
                                                sign::Format::notation_jws,
                                                sign::Format::notation_cose},
                            .time = options.signed_at};
  return sign::verify(policy, candidates).verified;
}

class Prover {
public:
  Prover(const sign::Signatory& signatory, const SigningOptions& options)
      : signatory_(signatory), options_(options) {}

  void check(const Expected& item, const std::vector<transfer::Attachment>& attachments,
             const std::vector<sign::Candidate>& candidates) const {
    for (const auto& document : item.documents) {
      require(std::ranges::any_of(
                  attachments,
                  [&](const auto& attachment) { return attachment.descriptor.digest == document; }),
              item, "a document is not listed");
    }
    const Statements statements(candidates);
    for (const auto& payload : item.payloads) {
      require(statements.has(payload, signatory_), item,
              "a statement is not found as it was written");
    }
    if (!item.is_signed) {
      return;
    }
    for (const auto format : options_.formats) {
      require(is_signed_as(format, item.image, statements, candidates), item,
              fmt::format("no signature of the form {} is found that verifies",
                          quoted(sign::to_string(format))));
    }
  }

private:
  [[nodiscard]] bool is_signed_as(sign::Format format, const oci::Descriptor& image,
                                  const Statements& statements,
                                  const std::vector<sign::Candidate>& candidates) const {
    switch (format) {
    case sign::Format::bundle:
      return statements.has(signature_payload(image, options_.annotations), signatory_);
    case sign::Format::simple_signing:
      return options_.references.empty() || has_simple(signatory_, image, options_, candidates);
    case sign::Format::notation_jws:
      return has_notation_of(signatory_, image, options_, candidates);
    case sign::Format::envelope:
    case sign::Format::notation_cose:
      break;
    }
    return false;
  }

  static void require(bool holds, const Expected& item, std::string_view cause) {
    if (!holds) {
      throw Unproved(fmt::format("cannot verify what was just written beside {}: {}",
                                 item.image.digest.to_string(), cause));
    }
  }

  const sign::Signatory& signatory_;
  const SigningOptions& options_;
};

} // namespace

bool has_notation_of(const sign::Signatory& signatory, const oci::Descriptor& image,
                     const SigningOptions& options,
                     const std::vector<sign::Candidate>& candidates) {
  if (signatory.certificates.empty()) {
    return false;
  }
  // The manifest's list of certificates, which verification compares with those in the signature:
  // the leaf is the first. Others may sign under the same authority.
  constexpr const char* thumbprints = "io.cncf.notary.x509chain.thumbprint#S256";
  const auto ours = "[\"" + signatory.certificates.front().fingerprint().hex() + "\"";
  const sign::Policy policy{.notation = {.certificates = {signatory.certificates.back()}},
                            .image = image,
                            .annotations = options.annotations,
                            .time = options.signed_at};
  return std::ranges::any_of(candidates, [&](const sign::Candidate& candidate) {
    const auto listed = candidate.annotations.find(thumbprints);
    return candidate.format == sign::Format::notation_jws &&
           listed != candidate.annotations.end() && listed->second.starts_with(ours) &&
           sign::verify(policy, {candidate}).verified;
  });
}

void prove(const OpenImage& open, const Annotating& what, const Payloads& payloads,
           const sign::Signatory& signatory, const SigningOptions& options, const Operation& op) {
  const Prover prover(signatory, options);
  for_each(expectations(what, payloads, options), requests_at_once, op,
           [&](const Expected& item, const Operation& inner) {
             const auto origin = open(item.image);
             const auto attachments = origin->attachments(item.image.digest, inner);
             prover.check(
                 item, attachments,
                 read_attachments(*origin, item.image, attachments, requests_at_once, inner));
           });
}

} // namespace aipack::trust
