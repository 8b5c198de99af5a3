#include "aipack/trust/signing.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/http/http.hpp"
#include "aipack/trust/verification.hpp"

#include "proof.hpp"
#include "statements.hpp"
#include "verification_impl.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace aipack::trust {
namespace {

constexpr unsigned requests_at_once = 16;

/// A bundle that was just made; its statement is of this type.
transfer::MemoryArtifact bundle_artifact(const oci::Descriptor& image, std::string bundle,
                                         std::string_view predicate_type,
                                         const SigningOptions& options) {
  return to_memory(sign::make_bundle_referrer(image, std::move(bundle), std::string(predicate_type),
                                              options.created));
}

/// A bundle by somebody else, perhaps.
transfer::MemoryArtifact finished_artifact(const oci::Descriptor& image, const std::string& bundle,
                                           const SigningOptions& options) {
  return to_memory(sign::make_bundle_referrer(image, bundle, options.created));
}

transfer::MemoryArtifact signature_artifact(const oci::Descriptor& image,
                                            const sign::Signatory& signatory,
                                            const SigningOptions& options) {
  return bundle_artifact(image, sign::sign_image(image.digest, options.annotations, signatory),
                         sign::predicate_type::signature, options);
}

transfer::MemoryArtifact notation_artifact(const oci::Descriptor& image,
                                           const sign::Signatory& signatory,
                                           const SigningOptions& options) {
  auto jws = sign::sign_notation(image, options.annotations, signatory, options.signed_at);
  return to_memory(sign::make_notation_referrer(image, std::move(jws), options.created));
}

/// What is beside one image before anything is written.
struct Before {
  std::vector<transfer::Attachment> attachments;
  std::vector<sign::Candidate> candidates;
  Statements statements;
};

/// One run of annotate(). run() is its table of contents.
class Annotator {
public:
  Annotator(transfer::Annex& annex, const Annotating& what, const sign::Signatory& signatory,
            const SigningOptions& options, const Operation& op)
      : annex_(annex), what_(what), payloads_(what), signatory_(signatory), options_(options),
        op_(op) {}

  SigningReport run() {
    look();
    warn();
    attach(documents());
    attach(attestations());
    attach(signatures());
    sign_at_tags();
    const auto report = report_;
    prove_or_repeat();
    return report;
  }

private:
  void attach(std::vector<transfer::MemoryArtifact> artifacts) {
    annex_.attach(artifacts, op_);
    std::ranges::move(artifacts, std::back_inserter(attached_));
  }

  /// As a verifier sees it from now on. A registry may be slow to show what it has, and one without
  /// the means to tell writers apart lets a slow one of them undo the others: then the very same
  /// artifacts are put once more.
  void prove_or_repeat() {
    constexpr std::chrono::milliseconds pause(250);
    constexpr unsigned most_proofs = 4;
    for (unsigned proofs = 1;; ++proofs) {
      try {
        return prove([&](const oci::Descriptor& image) { return annex_.read(image, op_); }, what_,
                     payloads_, signatory_, options_, op_);
      } catch (const Unproved&) {
        if (proofs == most_proofs) {
          throw;
        }
      }
      if (proofs % 2 == 1) {
        http::wait(pause * proofs, op_);
      } else {
        annex_.attach(attached_, op_);
        sign_at_tags();
      }
    }
  }

  // --- what is there

  void look() {
    std::map<oci::Digest, oci::Descriptor> images;
    const auto add = [&](const oci::Descriptor& image) { images.emplace(image.digest, image); };
    std::ranges::for_each(what_.signed_images, add);
    for (const auto& attestation : what_.attestations) {
      std::ranges::for_each(attestation.images, add);
    }
    for (const auto& document : what_.documents) {
      add(document.image);
    }
    std::vector<oci::Descriptor> list;
    for (const auto& [digest, image] : images) {
      list.push_back(image);
    }
    const auto found = map_each<Before>(
        list, requests_at_once, op_, [&](const oci::Descriptor& image, const Operation& inner) {
          const auto origin = annex_.read(image, inner);
          auto attachments = origin->attachments(image.digest, inner);
          auto candidates = read_attachments(*origin, image, attachments, requests_at_once, inner);
          Statements statements(candidates);
          return Before{std::move(attachments), std::move(candidates), std::move(statements)};
        });
    for (std::size_t i = 0; i < list.size(); ++i) {
      before_.emplace(list[i].digest, found[i]);
    }
  }

  [[nodiscard]] bool is_said(const oci::Descriptor& image, std::string_view payload) const {
    return before_.at(image.digest).statements.has(payload, signatory_);
  }

  [[nodiscard]] bool is_listed(const oci::Descriptor& image, const oci::Digest& artifact) const {
    return std::ranges::any_of(before_.at(image.digest).attachments, [&](const auto& attachment) {
      return attachment.descriptor.digest == artifact;
    });
  }

  /// cosign 3 looks at no signature at the tag once it sees one bundle beside the image, whatever
  /// that says.
  void warn() {
    for (const auto& [digest, before] : before_) {
      const bool gets_bundle =
          std::ranges::any_of(what_.attestations, [&](const auto& attestation) {
            return std::ranges::find(attestation.images, digest, &oci::Descriptor::digest) !=
                   attestation.images.end();
          });
      const bool is_signed =
          std::ranges::find(what_.signed_images, digest, &oci::Descriptor::digest) !=
          what_.signed_images.end();
      const auto has = [&](sign::Format format) {
        return std::ranges::find(before.candidates, format, &sign::Candidate::format) !=
               before.candidates.end();
      };
      const bool has_signature_bundle =
          (is_signed && options_.formats.contains(sign::Format::bundle)) ||
          before.statements.has_signature();
      const bool has_tag = has(sign::Format::simple_signing) || (is_signed && is_signed_at_tags());
      if (has_tag && !has_signature_bundle && (gets_bundle || has(sign::Format::bundle))) {
        report_.notes.push_back(fmt::format(
            "{} is signed at the tag alone: cosign 3 does not look there once a statement is "
            "attached as a bundle; sign it as a bundle too",
            digest.to_string()));
      }
    }
  }

  // --- what is missing

  std::vector<transfer::MemoryArtifact> documents() {
    std::vector<transfer::MemoryArtifact> missing;
    for (const auto& document : what_.documents) {
      auto artifact = document_artifact(document, options_.created);
      if (is_listed(document.image, artifact.document.descriptor.digest)) {
        ++report_.present;
      } else {
        missing.push_back(std::move(artifact));
        ++report_.documents;
      }
    }
    return missing;
  }

  std::vector<transfer::MemoryArtifact> attestations() {
    std::vector<transfer::MemoryArtifact> missing;
    const auto counted_missing = [&](const oci::Descriptor& image, std::string_view payload) {
      const bool is_there = is_said(image, payload);
      ++(is_there ? report_.present : report_.attestations);
      return !is_there;
    };
    for (std::size_t i = 0; i < what_.attestations.size(); ++i) {
      const auto& attestation = what_.attestations[i];
      // One signature for all of its images, made when the first of them lacks it.
      std::string bundle;
      for (const auto& image : attestation.images) {
        if (counted_missing(image, payloads_.attestations[i])) {
          if (bundle.empty()) {
            bundle = sign::sign_payload(payloads_.attestations[i], signatory_);
          }
          missing.push_back(bundle_artifact(image, bundle, attestation.predicate_type, options_));
        }
      }
    }
    for (std::size_t i = 0; i < what_.bundles.size(); ++i) {
      const auto& image = what_.signed_images.front();
      if (counted_missing(image, payloads_.bundles[i])) {
        missing.push_back(finished_artifact(image, what_.bundles[i], options_));
      }
    }
    return missing;
  }

  std::vector<transfer::MemoryArtifact> signatures() {
    std::vector<transfer::MemoryArtifact> missing;
    for (const auto& image : what_.signed_images) {
      if (options_.formats.contains(sign::Format::bundle)) {
        if (is_said(image, signature_payload(image, options_.annotations))) {
          ++report_.present;
        } else {
          missing.push_back(signature_artifact(image, signatory_, options_));
        }
      }
      if (options_.formats.contains(sign::Format::notation_jws)) {
        if (has_notation_of(signatory_, image, options_, before_.at(image.digest).candidates)) {
          ++report_.present;
        } else {
          missing.push_back(notation_artifact(image, signatory_, options_));
        }
      }
    }
    report_.signatures += missing.size();
    return missing;
  }

  void sign_at_tags() {
    if (!is_signed_at_tags()) {
      return;
    }
    std::vector<std::size_t> written(what_.signed_images.size());
    for_each_index(what_.signed_images.size(), requests_at_once, op_,
                   [&](std::size_t at, const Operation& inner) {
                     written[at] = sign_at_tag(what_.signed_images[at], inner) ? 1 : 0;
                   });
    for (const auto count : written) {
      report_.signatures += count;
      report_.present += 1 - count;
    }
  }

  [[nodiscard]] bool is_signed_at_tags() const {
    return options_.formats.contains(sign::Format::simple_signing) && !options_.references.empty();
  }

  bool sign_at_tag(const oci::Descriptor& image, const Operation& op) {
    bool is_new = false;
    const auto tag = sign::signature_tag(image.digest);
    annex_.merge(
        tag,
        [&](const registry::Document* now) -> std::optional<transfer::MemoryArtifact> {
          const auto existing =
              now != nullptr ? std::optional(oci::parse_manifest(now->bytes, tag)) : std::nullopt;
          const auto artifact =
              sign::sign_simple(image.digest, options_.references, options_.annotations, signatory_,
                                existing ? &*existing : nullptr);
          if (existing && artifact.manifest.descriptor().digest == existing->descriptor().digest) {
            return std::nullopt;
          }
          is_new = true;
          return to_memory(artifact);
        },
        op);
    return is_new;
  }

  transfer::Annex& annex_;
  const Annotating& what_;
  const Payloads payloads_;
  const sign::Signatory& signatory_;
  const SigningOptions& options_;
  const Operation& op_;
  SigningReport report_;
  std::map<oci::Digest, Before> before_;
  std::vector<transfer::MemoryArtifact> attached_;
};

/// A token's two halves may not belong together: found out before anything is written.
void check_signer(const sign::Signer& signer) {
  constexpr std::string_view message = "does this key verify what it signs?";
  const auto key = signer.public_key();
  const auto scheme = sign::default_scheme(key.type());
  if (!key.verify(message, signer.sign(message, scheme), scheme)) {
    throw Error(ErrorCode::corrupt, "cannot sign: the key's public half does not verify what its "
                                    "private half signs");
  }
}

void check_request(const Annotating& what, const sign::Signatory& signatory,
                   const SigningOptions& options) {
  check_signing(signatory, options.formats);
  if (!what.bundles.empty() && what.signed_images.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot attach bundles: there is no image to sign");
  }
  const bool has_bundles = !what.attestations.empty() || !what.bundles.empty();
  if (has_bundles && !what.signed_images.empty() &&
      !options.formats.contains(sign::Format::bundle)) {
    throw Error(ErrorCode::invalid_input,
                "cannot attach statements to an image that is not signed as a bundle: cosign 3 "
                "looks at no other signature once it sees a bundle")
        .with_hint("add the form 'bundle'");
  }
}

} // namespace

void check_signing(const sign::Signatory& signatory, const std::set<sign::Format>& formats) {
  check_signer(signatory.signer);
  const auto& certificates = signatory.certificates;
  if (!certificates.empty() &&
      !(certificates.front().public_key() == signatory.signer.public_key())) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot sign with certificate {}: it belongs to another key",
                            quoted(certificates.front().subject())));
  }
  if (formats.contains(sign::Format::notation_jws) && certificates.empty()) {
    throw Error(ErrorCode::invalid_input,
                "cannot sign for notation: it knows certificates, not keys")
        .with_hint("give the key's certificate chain with --certificate");
  }
  for (const auto format : {sign::Format::envelope, sign::Format::notation_cose}) {
    if (formats.contains(format)) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot sign in the form {}: it is read only",
                              quoted(sign::to_string(format))));
    }
  }
}

SigningReport count_artifacts(const Annotating& what, const SigningOptions& options,
                              bool is_signed) {
  SigningReport report{.documents = what.documents.size()};
  if (!is_signed) {
    return report;
  }
  report.attestations = what.bundles.size();
  for (const auto& attestation : what.attestations) {
    report.attestations += attestation.images.size();
  }
  for (const auto format : options.formats) {
    const bool is_written = format != sign::Format::simple_signing || !options.references.empty();
    report.signatures += is_written ? what.signed_images.size() : 0;
  }
  return report;
}

void check_artifacts(transfer::Origin& origin, const Annotating& what,
                     const sign::Signatory& signatory, const SigningOptions& options,
                     const Operation& op) {
  const std::shared_ptr<transfer::Origin> borrowed(std::shared_ptr<void>(), &origin);
  prove([&](const oci::Descriptor&) { return borrowed; }, what, Payloads(what), signatory, options,
        op);
}

SigningReport annotate(transfer::Annex& annex, const Annotating& what,
                       const sign::Signatory& signatory, const SigningOptions& options,
                       const Operation& op) {
  check_request(what, signatory, options);
  return Annotator(annex, what, signatory, options, op).run();
}

SigningReport attach_documents(transfer::Annex& annex, const std::vector<Document>& documents,
                               std::chrono::sys_seconds created, const Operation& op) {
  annex.attach(make_documents(documents, created), op);
  return {.documents = documents.size()};
}

std::vector<transfer::MemoryArtifact> make_documents(const std::vector<Document>& documents,
                                                     std::chrono::sys_seconds created) {
  std::vector<transfer::MemoryArtifact> artifacts;
  std::ranges::transform(documents, std::back_inserter(artifacts), [&](const auto& document) {
    return document_artifact(document, created);
  });
  return artifacts;
}

std::vector<transfer::MemoryArtifact> make_artifacts(const Annotating& what,
                                                     const sign::Signatory& signatory,
                                                     const SigningOptions& options) {
  check_request(what, signatory, options);
  auto artifacts = make_documents(what.documents, options.created);
  for (const auto& attestation : what.attestations) {
    const auto bundle = sign::sign_statement(statement_of(attestation), signatory);
    for (const auto& image : attestation.images) {
      artifacts.push_back(bundle_artifact(image, bundle, attestation.predicate_type, options));
    }
  }
  for (const auto& bundle : what.bundles) {
    artifacts.push_back(finished_artifact(what.signed_images.front(), bundle, options));
  }
  for (const auto& image : what.signed_images) {
    if (options.formats.contains(sign::Format::bundle)) {
      artifacts.push_back(signature_artifact(image, signatory, options));
    }
    if (options.formats.contains(sign::Format::notation_jws)) {
      artifacts.push_back(notation_artifact(image, signatory, options));
    }
    if (options.formats.contains(sign::Format::simple_signing) && !options.references.empty()) {
      artifacts.push_back(to_memory(sign::sign_simple(image.digest, options.references,
                                                      options.annotations, signatory, nullptr)));
    }
  }
  return artifacts;
}

std::vector<std::string> simple_references(const image::Location& location,
                                           const std::string& name) {
  auto reference = location.reference;
  if (!reference && !name.empty()) {
    reference = oci::Reference::parse(name);
  }
  if (!reference) {
    return {};
  }
  const auto repository = reference->registry().empty()
                              ? reference->repository()
                              : reference->registry() + "/" + reference->repository();
  std::vector<std::string> references{repository};
  if (!reference->digest() || !reference->tag().empty()) {
    references.push_back(repository + ":" +
                         (reference->tag().empty() ? "latest" : reference->tag()));
  }
  return references;
}

} // namespace aipack::trust
