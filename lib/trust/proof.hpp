#pragma once

#include "aipack/core/error.hpp"
#include "aipack/trust/signing.hpp"

#include "statements.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace aipack::trust {

/// Opens what is there of an image.
using OpenImage = std::function<std::shared_ptr<transfer::Origin>(const oci::Descriptor& image)>;

/// Something is not found as it was written, or does not verify.
class Unproved final : public Error {
public:
  explicit Unproved(std::string message)
      : Error(
            Error(ErrorCode::corrupt, std::move(message))
                .with_hint("the registry alters or hides what it is given, or another writer keeps "
                           "undoing it; nothing was named")) {}
};

/// Everything that `what` asks for is found where a verifier finds it, and verifies: each statement
/// and each finished bundle byte for byte by this signatory, each document by its digest, each
/// image in every form of signature. `payloads` are those of `what`. Throws Unproved with the first
/// that is not.
void prove(const OpenImage& open, const Annotating& what, const Payloads& payloads,
           const sign::Signatory& signatory, const SigningOptions& options, const Operation& op);

/// A notation signature by the very certificate of `signatory`, over `image`, is among them.
[[nodiscard]] bool has_notation_of(const sign::Signatory& signatory, const oci::Descriptor& image,
                                   const SigningOptions& options,
                                   const std::vector<sign::Candidate>& candidates);

} // namespace aipack::trust
