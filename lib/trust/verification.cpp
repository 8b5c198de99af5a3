#include "aipack/trust/verification.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"
#include "aipack/trust/images.hpp"

#include "statements.hpp"
#include "verification_impl.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
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

/// Fetches what is attached to one image, up to a limit for all of it.
class Reader {
public:
  Reader(transfer::Origin& origin, const oci::Descriptor& image) : origin_(origin), image_(image) {}

  std::vector<sign::Candidate> read(const transfer::Attachment& attachment, const Operation& op) {
    const auto& descriptor = attachment.descriptor;
    if (!oci::is_manifest(descriptor.media_type)) {
      return {}; // an index of artifacts is no signature
    }
    try {
      return read_manifest(attachment, op);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::internal) {
        throw;
      }
      return {refused(attachment, error.message())};
    }
  }

private:
  std::vector<sign::Candidate> read_manifest(const transfer::Attachment& attachment,
                                             const Operation& op) {
    const auto& descriptor = attachment.descriptor;
    take(descriptor);
    const auto manifest =
        oci::parse_manifest(origin_.manifest(descriptor, op).bytes, descriptor.digest.to_string());
    auto candidates = sign::read_candidates(manifest, [&](const oci::Descriptor& layer) {
      take(layer);
      const auto blob = origin_.blob(layer, op);
      const auto source = blob->open();
      return io::read_text(*source, layer.size_bytes, layer.digest.to_string());
    });
    const auto& subject = manifest->subject;
    if (attachment.tag.empty() && (!subject || subject->digest != image_.digest)) {
      for (auto& candidate : candidates) {
        candidate.refusal = "cannot use it: it is listed as attached to this image, and its own "
                            "subject is another";
      }
    }
    return candidates;
  }

  void take(const oci::Descriptor& content) {
    if (bytes_.fetch_add(content.size_bytes) + content.size_bytes > max_attachment_bytes) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot read {}: more than {} bytes are attached to the image",
                              content.digest.to_string(), max_attachment_bytes));
    }
  }

  transfer::Origin& origin_;
  const oci::Descriptor& image_;
  std::atomic<std::uint64_t> bytes_ = 0;
};

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
  std::vector<sign::Candidate> result;
  std::size_t left_out = 0;
  if (attachments.size() > max_attachments) {
    left_out = attachments.size() - max_attachments;
    attachments.erase(attachments.begin() + max_attachments, attachments.end());
  }
  Reader reader(origin, image);
  for (auto& candidates : map_each<std::vector<sign::Candidate>>(
           attachments, concurrency, op,
           [&](const transfer::Attachment&attachment, const Operation&inner) {
             return reader.read(attachment, inner);
           })) {
    std::ranges::move(candidates, std::back_inserter(result));
  }
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
  return read_attachments(origin, image, origin.attachments(image.digest, op), at_once, op);
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
        auto candidates = read_attachments(origin, image, origin.attachments(image.digest, inner),
                                           options.concurrency, inner);
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
