#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/verify.hpp"
#include "aipack/transfer/attach.hpp"
#include "aipack/transfer/place.hpp"

#include <chrono>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace aipack::trust {

/// A statement to be made about images: what cosign calls a predicate, and which images it is
/// about. It is attached to each of them.
struct Attestation {
  std::vector<oci::Descriptor> images; ///< at least one
  std::string predicate_type;
  std::string predicate; ///< JSON text of an object, signed byte for byte
};

/// A document that goes beside an image without a signature, such as an SBOM.
struct Document {
  oci::Descriptor image;
  std::string media_type; ///< also the artifact type: "application/spdx+json"
  std::string content;
};

/// What is written beside images.
struct Annotating {
  std::vector<oci::Descriptor> signed_images{}; ///< each gets a signature of its own
  std::vector<Attestation> attestations{};
  std::vector<Document> documents{};
  /// OpenSSF model signatures and other bundles that are finished, for `signed_images.front()`.
  std::vector<std::string> bundles{};
};

struct SigningOptions {
  /// What signatures are written as; attestations are bundles. A bundle beside the tag satisfies
  /// every generation of cosign, and the tag podman, skopeo and CRI-O.
  std::set<sign::Format> formats{sign::Format::bundle, sign::Format::simple_signing};
  oci::Annotations annotations{}; ///< that signatures carry
  /// What signatures at the tag say the image is called: "HOST/REPO", "HOST/REPO:TAG".
  std::vector<std::string> references{};
  std::chrono::sys_seconds created{};   ///< of what is written; from the image, not the clock
  std::chrono::sys_seconds signed_at{}; ///< notation's signing time: the present
};

struct SigningReport {
  std::size_t signatures = 0;   ///< written
  std::size_t attestations = 0; ///< written
  std::size_t documents = 0;    ///< written
  std::size_t present = 0;      ///< of all three, that were there: by this key, about the same
  std::vector<std::string> notes{}; ///< what verifiers of the field will trip over
};

/// What can be known before anything is built: throws Error{corrupt} for a key whose halves do not
/// belong together, Error{invalid_input} for forms that cannot be written and a certificate of
/// another key.
AIPACK_API void check_signing(const sign::Signatory& signatory,
                              const std::set<sign::Format>& formats);

/// Makes what is missing and writes it: documents and attestations, then signatures; then reads all
/// of it back and verifies it with the public key. What is there by the same key and says the same
/// is not made again. Throws Error{corrupt} when something does not verify that was just written.
AIPACK_API SigningReport annotate(transfer::Annex& annex, const Annotating& what,
                                  const sign::Signatory& signatory, const SigningOptions& options,
                                  const Operation& op);
/// Documents alone need no key.
AIPACK_API SigningReport attach_documents(transfer::Annex& annex,
                                          const std::vector<Document>& documents,
                                          std::chrono::sys_seconds created, const Operation& op);

/// The same for a place that is written once, an archive: everything, for check_artifacts() and
/// then the copy.
[[nodiscard]] AIPACK_API std::vector<transfer::MemoryArtifact>
make_artifacts(const Annotating& what, const sign::Signatory& signatory,
               const SigningOptions& options);
/// What make_artifacts() makes.
[[nodiscard]] AIPACK_API SigningReport count_artifacts(const Annotating& what,
                                                       const SigningOptions& options,
                                                       bool is_signed);
/// `origin` has the image with all that was made for it, as annotate() makes sure.
AIPACK_API void check_artifacts(transfer::Origin& origin, const Annotating& what,
                                const sign::Signatory& signatory, const SigningOptions& options,
                                const Operation& op);
[[nodiscard]] AIPACK_API std::vector<transfer::MemoryArtifact>
make_documents(const std::vector<Document>& documents, std::chrono::sys_seconds created);

/// What signatures at the tag call an image: its repository and repository:tag. Those of a layout
/// or an archive are called by `name`, which may be empty.
[[nodiscard]] AIPACK_API std::vector<std::string> simple_references(const image::Location& location,
                                                                    const std::string& name = {});

} // namespace aipack::trust
