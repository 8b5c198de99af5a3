#include "aipack/trust/verification.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"
#include "aipack/trust/images.hpp"

#include "statements.hpp"
#include "verification_impl.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace aipack::trust {
namespace {

/// What the listing calls it; wrong listings are common, so this is only for messages.
sign::Format claimed_format(const transfer::Attachment& attachment) {
  if (attachment.tag.ends_with(".sig")) {
    return sign::Format::simple_signing;
  }
  if (attachment.tag.ends_with(".att")) {
    return sign::Format::envelope;
  }
  return attachment.descriptor.artifact_type == "application/vnd.cncf.notary.signature"
             ? sign::Format::notation_jws
             : sign::Format::bundle;
}

sign::Candidate refused(const transfer::Attachment& attachment, std::string why) {
  return {.format = claimed_format(attachment),
          .manifest = attachment.descriptor.digest,
          .refusal = std::move(why)};
}

/// A manifest or a blob that is wanted, then what came.
struct Part {
  oci::Descriptor descriptor;
  std::string bytes{};
  std::optional<Error> failure{};
};

/// Of an error that is being handled: why something is refused. What concerns the whole question
/// goes on.
Error refusal_of(const Error& error) {
  if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::internal) {
    throw;
  }
  return error;
}

/// Fetches what is attached to one image, up to a limit for all of it, the smallest first: whoever
/// may attach something must not use up the room for what is smaller, and signatures are small.
/// What is read does not depend on which thread is faster.
class Reader {
public:
  Reader(transfer::Origin& origin, const oci::Descriptor& image, unsigned concurrency,
         const Operation& op)
      : origin_(origin), image_(image), concurrency_(concurrency), op_(op) {}

  std::vector<sign::Candidate> read(const std::vector<transfer::Attachment>& attachments) {
    std::vector<Artifact> artifacts;
    for (const auto& attachment : attachments) {
      if (oci::is_manifest(attachment.descriptor.media_type)) { // an index is no signature
        artifacts.push_back({&attachment, {attachment.descriptor}});
      }
    }
    read_manifests(artifacts);
    read_layers(artifacts);
    std::vector<sign::Candidate> result;
    for (auto& artifact : artifacts) {
      std::ranges::move(candidates_of(artifact), std::back_inserter(result));
    }
    return result;
  }

private:
  struct Artifact {
    const transfer::Attachment* attachment;
    Part document;
    std::optional<oci::Sealed<oci::Manifest>> manifest{};
    std::vector<Part> layers{}; ///< those that are asked for, in that order
  };

  void read_manifests(std::vector<Artifact>& artifacts) {
    std::vector<Part*> wanted;
    for (auto& artifact : artifacts) {
      auto& document = artifact.document;
      if (document.descriptor.size_bytes > oci::max_manifest_bytes) {
        document.failure = Error(
            ErrorCode::corrupt,
            fmt::format("cannot read {}: it is listed with {} bytes, and manifests have at most {}",
                        document.descriptor.digest.to_string(), document.descriptor.size_bytes,
                        oci::max_manifest_bytes));
      } else {
        wanted.push_back(&document);
      }
    }
    fetch(std::move(wanted), [this](const oci::Descriptor& content, const Operation& op) {
      return origin_.manifest(content, op).bytes;
    });
    for (auto& artifact : artifacts) {
      auto& document = artifact.document;
      if (document.failure) {
        continue;
      }
      try {
        artifact.manifest =
            oci::parse_manifest(document.bytes, document.descriptor.digest.to_string());
      } catch (const Error& error) {
        document.failure = refusal_of(error);
      }
    }
  }

  void read_layers(std::vector<Artifact>& artifacts) {
    std::vector<Part*> wanted;
    std::vector<Part*> further;
    for (auto& artifact : artifacts) {
      if (artifact.manifest) {
        // Only to learn which; what it makes of nothing is of no use.
        static_cast<void>(
            sign::read_candidates(*artifact.manifest, [&](const oci::Descriptor& layer) {
              artifact.layers.push_back({layer});
              return std::string();
            }));
      }
      // An honest artifact has one layer, a tag of cosign's as many as there are signatures: the
      // many that others put into one manifest come after these.
      const bool is_tag = !artifact.attachment->tag.empty();
      for (auto& layer : artifact.layers) {
        (is_tag || &layer == &artifact.layers.front() ? wanted : further).push_back(&layer);
      }
    }
    left_bytes_ = max_attachment_bytes; // what manifests took is not missing here
    const auto read = [this](const oci::Descriptor& content, const Operation& op) {
      const auto blob = origin_.blob(content, op);
      const auto source = blob->open();
      return io::read_text(*source, content.size_bytes, content.digest.to_string());
    };
    fetch(std::move(wanted), read);
    fetch(std::move(further), read);
  }

  template <class Get>
  void fetch(std::vector<Part*> wanted, const Get& get) {
    std::ranges::stable_sort(wanted, {},
                             [](const Part* part) { return part->descriptor.size_bytes; });
    while (!wanted.empty()) {
      const auto first_left = take_batch(wanted);
      const std::vector<Part*> batch(wanted.begin(), first_left);
      wanted.erase(wanted.begin(), first_left);
      if (batch.empty()) {
        for (Part* part : wanted) {
          part->failure =
              Error(ErrorCode::corrupt,
                    fmt::format("cannot read {}: more than {} bytes are attached to the image",
                                part->descriptor.digest.to_string(), max_attachment_bytes));
        }
        return;
      }
      for_each(batch, concurrency_, op_, [&](Part* part, const Operation& inner) {
        try {
          part->bytes = get(part->descriptor, inner);
        } catch (const Error& error) {
          part->failure = refusal_of(error);
        }
      });
      for (const Part* part : batch) {
        // What is not there cost nothing. All else did, also when it was refused in the end.
        if (part->failure && part->failure->code() == ErrorCode::not_found) {
          left_bytes_ += part->descriptor.size_bytes;
        }
      }
    }
  }

  /// The end of what fits into the room that is left, and is taken from it.
  std::vector<Part*>::iterator take_batch(std::vector<Part*>& wanted) {
    auto end = wanted.begin();
    while (end != wanted.end() && (*end)->descriptor.size_bytes <= left_bytes_) {
      left_bytes_ -= (*end)->descriptor.size_bytes;
      ++end;
    }
    return end;
  }

  std::vector<sign::Candidate> candidates_of(Artifact& artifact) const {
    const auto& attachment = *artifact.attachment;
    if (artifact.document.failure) {
      return {refused(attachment, artifact.document.failure->message())};
    }
    auto next = artifact.layers.begin();
    auto candidates = sign::read_candidates(*artifact.manifest, [&](const oci::Descriptor&) {
      Part& layer = *next++;
      if (layer.failure) {
        throw Error(*layer.failure);
      }
      return std::move(layer.bytes);
    });
    const auto& subject = (*artifact.manifest)->subject;
    if (attachment.tag.empty() && (!subject || subject->digest != image_.digest)) {
      for (auto& candidate : candidates) {
        candidate.refusal = "cannot use it: it is listed as attached to this image, and its own "
                            "subject is another";
      }
    }
    return candidates;
  }

  transfer::Origin& origin_;
  const oci::Descriptor& image_;
  unsigned concurrency_;
  const Operation& op_;
  std::uint64_t left_bytes_ = max_attachment_bytes;
};

/// All that is beside the image. A listing that cannot be read may have hidden something, which is
/// said, and hides nothing else.
std::vector<sign::Candidate> candidates_beside(transfer::Origin& origin,
                                               const oci::Descriptor& image, unsigned concurrency,
                                               const Operation& op) {
  auto list = origin.list_attachments(image.digest, op);
  auto candidates = read_attachments(origin, image, std::move(list.found), concurrency, op);
  for (const auto& failure : list.failures) {
    candidates.push_back({.manifest = image.digest, .refusal = failure.message()});
  }
  return candidates;
}

/// A model's own signature is about its files, not about the image that it is attached to: that is
/// no fault of it, and said in other words than those for a signature of another image.
void explain_model_signatures(sign::Verdict& verdict) {
  for (auto& attestation : verdict.attestations) {
    if (attestation.predicate_type == sign::predicate_type::model_signature &&
        !attestation.verified && !attestation.key.empty()) {
      attestation.reason =
          fmt::format("signed by {}; it is about the model's files, which 'verify --model' judges",
                      attestation.key);
    }
  }
}

std::string named(const oci::Descriptor& image) {
  return image.platform ? image.platform->to_string() : image.digest.to_string();
}

} // namespace

std::vector<sign::Candidate> read_attachments(transfer::Origin& origin,
                                              const oci::Descriptor& image,
                                              std::vector<transfer::Attachment> attachments,
                                              unsigned concurrency, const Operation& op) {
  // cosign's tags are three at most: a flood of referrers must not push them out.
  std::stable_partition(
      attachments.begin(), attachments.end(),
      [](const transfer::Attachment& attachment) { return !attachment.tag.empty(); });
  std::size_t left_out = 0;
  if (attachments.size() > max_attachments) {
    left_out = attachments.size() - max_attachments;
    attachments.erase(attachments.begin() + max_attachments, attachments.end());
  }
  auto result = Reader(origin, image, concurrency, op).read(attachments);
  if (left_out != 0) {
    result.push_back(
        {.manifest = image.digest,
         .refusal = fmt::format("cannot read {} more: {} are attached to the image, "
                                "and {} are looked at",
                                left_out, left_out + max_attachments, max_attachments)});
  }
  return result;
}

std::vector<sign::Candidate> find_candidates(transfer::Origin& origin, const oci::Descriptor& image,
                                             const Operation& op) {
  constexpr unsigned at_once = 6;
  return candidates_beside(origin, image, at_once, op);
}

VerifyReport verify_image(transfer::Origin& origin, const VerifyOptions& options,
                          const Operation& op) {
  return verify_image(origin, origin.resolve(op), options, op);
}

VerifyReport verify_image(transfer::Origin& origin, const oci::Descriptor& root,
                          const VerifyOptions& options, const Operation& op) {
  VerifyReport report{.root = root};
  auto images =
      options.every_platform ? images_of(origin, root, op) : std::vector<oci::Descriptor>{root};
  report.images = map_each<ImageVerdict>(
      images, options.concurrency, op, [&](const oci::Descriptor& image, const Operation& inner) {
        auto candidates = candidates_beside(origin, image, options.concurrency, inner);
        for (const auto& bundle : options.bundles) {
          candidates.push_back(
              {.format = sign::Format::bundle, .manifest = image.digest, .content = bundle});
        }
        auto policy = options.policy;
        policy.image = {
            .media_type = image.media_type, .digest = image.digest, .size_bytes = image.size_bytes};
        auto verdict = sign::verify(policy, candidates);
        explain_model_signatures(verdict);
        return ImageVerdict{image, std::move(verdict)};
      });
  const auto failed = std::ranges::find_if(
      report.images, [](const ImageVerdict& image) { return !image.verdict.verified; });
  report.verified = failed == report.images.end();
  if (report.verified) {
    report.reason = report.images.front().verdict.reason;
  } else {
    const bool is_root = failed == report.images.begin();
    report.reason = is_root ? failed->verdict.reason
                            : fmt::format("{}: {}", named(failed->image), failed->verdict.reason);
  }
  return report;
}

std::vector<sign::Statement> trusted_statements(transfer::Origin& origin,
                                                const oci::Descriptor& image,
                                                const sign::Policy& policy,
                                                std::string_view predicate_type,
                                                const Operation& op) {
  auto asked = policy;
  asked.image = {
      .media_type = image.media_type, .digest = image.digest, .size_bytes = image.size_bytes};
  asked.threshold = 0;
  asked.attestations = {{.predicate_type = std::string(predicate_type)}};
  std::vector<sign::Statement> statements;
  std::string cause = fmt::format("nothing of the type {} is attached", quoted(predicate_type));
  for (const auto& candidate : find_candidates(origin, image, op)) {
    const auto verdict = sign::verify(asked, {candidate});
    if (verdict.verified) {
      statements.push_back(sign::parse_statement(payload_of(candidate), "statement"));
    } else if (!verdict.attestations.empty() &&
               verdict.attestations.front().predicate_type == predicate_type) {
      cause = verdict.attestations.front().reason;
    }
  }
  if (statements.empty()) {
    throw Error(ErrorCode::corrupt, fmt::format("cannot trust what is said about {}: {}",
                                                quoted(origin.name()), cause));
  }
  return statements;
}

void require_verified(const VerifyReport& report, const std::string& name) {
  if (report.verified) {
    return;
  }
  Error error(ErrorCode::corrupt, fmt::format("cannot trust {}: {}", quoted(name), report.reason));
  constexpr std::size_t most_frames = 5;
  std::size_t frames = 0;
  for (const auto& image : report.images) {
    for (const auto& signature : image.verdict.signatures) {
      if (!signature.verified && frames++ < most_frames) {
        error.add_context(fmt::format("{} {}: {}", sign::to_string(signature.format),
                                      signature.digest.short_hex(), signature.reason));
      }
    }
  }
  throw std::move(error).with_hint("'aipack verify' shows the verdict on each signature");
}

} // namespace aipack::trust
