#pragma once

#include "aipack/build/signing.hpp"
#include "aipack/image/image.hpp"
#include "aipack/transfer/place.hpp"
#include "aipack/trust/signing.hpp"

#include "compose.hpp"
#include "context.hpp"

#include <string>
#include <vector>

namespace aipack::build {

/// What goes beside an image, but for the signatures themselves, which are made place by place.
struct Papers {
  trust::Annotating what;
  std::chrono::sys_seconds created; ///< of all of it: when the image was made
  std::vector<std::string> notes{}; ///< what is not among it, and why
};

/// The plan with the digests of the user's own files, which provenance states, and with
/// `large_models` of all model files, whatever their size: those are read, or remembered. Throws
/// Error{io} when one is no longer the file that was planned.
[[nodiscard]] Plan with_digests(Context& context, Plan plan, bool large_models,
                                const Operation& op);

/// `origin` holds the composed index. `plan` is one with digests when it is to be signed.
[[nodiscard]] Papers make_papers(Context& context, const Plan& plan, const Composed& composed,
                                 transfer::Origin& origin, const Signing& signing,
                                 const Operation& op);

/// How signatures are written at a place that calls the image by `references`.
[[nodiscard]] trust::SigningOptions signing_options(const Signing& signing, const Papers& papers,
                                                    std::vector<std::string> references);

} // namespace aipack::build
