#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/sign/statement.hpp"
#include "aipack/sign/verify.hpp"
#include "aipack/transfer/place.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::trust {

/// How much of what others attached is looked at; the rest is a candidate with that reason.
inline constexpr std::size_t max_attachments = 1000;                            ///< of one image
inline constexpr std::uint64_t max_attachment_bytes = std::uint64_t{256} << 20; ///< of one image

/// Everything beside an image that claims to be a signature or an attestation of it: by subject and
/// at cosign's tags. What is missing, damaged or lies, a listing included, comes as a candidate
/// with its refusal, so that it changes nothing for the others. The smallest are read first. Throws
/// when listing fails for another reason (the network, a disk).
[[nodiscard]] AIPACK_API std::vector<sign::Candidate>
find_candidates(transfer::Origin& origin, const oci::Descriptor& image, const Operation& op);

struct VerifyOptions {
  /// Whom to trust and what must hold; `image` is filled in.
  sign::Policy policy;
  /// Each platform's image must fulfil the policy as well, not only the index.
  bool every_platform = false;
  /// Bundles from elsewhere (`aipack sign --bundle`), in JSON: candidates beside the attached ones.
  std::vector<std::string> bundles{};
  unsigned concurrency = 6; ///< attachments fetched at once
};

/// The verdict on one image of an index, or on the index itself.
struct ImageVerdict {
  oci::Descriptor image; ///< with its platform, if it is one platform's
  sign::Verdict verdict;
};

struct VerifyReport {
  oci::Descriptor root;
  bool verified = false;
  std::string reason;               ///< of the first that is not verified, else of the root
  std::vector<ImageVerdict> images; ///< the root first
};

/// Judges an image by what is beside it. Opens no connection but the origin's. Throws what the
/// origin throws for the image itself, and Error{invalid_input} for a policy that trusts nobody or
/// asks for nothing; all else is the verdict.
[[nodiscard]] AIPACK_API VerifyReport verify_image(transfer::Origin& origin,
                                                   const VerifyOptions& options,
                                                   const Operation& op);
/// The same of a part of it.
[[nodiscard]] AIPACK_API VerifyReport verify_image(transfer::Origin& origin,
                                                   const oci::Descriptor& root,
                                                   const VerifyOptions& options,
                                                   const Operation& op);

/// The attestations of this type on `image` that the policy trusts, as their signers wrote them.
/// The policy's threshold and rules are of no meaning. Throws Error{corrupt} with the reasons when
/// there is none.
[[nodiscard]] AIPACK_API std::vector<sign::Statement>
trusted_statements(transfer::Origin& origin, const oci::Descriptor& image,
                   const sign::Policy& policy, std::string_view predicate_type,
                   const Operation& op);

/// Throws Error{corrupt} "cannot trust …" with the first reasons when the report is not verified.
AIPACK_API void require_verified(const VerifyReport& report, const std::string& name);

} // namespace aipack::trust
