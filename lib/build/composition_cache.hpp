#pragma once

#include "composer.hpp"

#include <optional>

namespace aipack::build {

/// Remembers the layers of a platform by everything they were made from, so that a build with the
/// same inputs composes and compresses nothing. An entry counts only while every layer it names is
/// in the store.
[[nodiscard]] oci::Digest composition_key(const Plan& plan, const ImagePlan& image,
                                          const Operation& op);
[[nodiscard]] std::optional<PlatformLayers> find_composition(const Context& context,
                                                             const oci::Digest& key);
/// Failing to remember is not an error.
void remember_composition(const Context& context, const oci::Digest& key,
                          const PlatformLayers& layers) noexcept;

/// Removes every sealed layer in the cache whose bytes are not what its name says; true when there
/// was one.
[[nodiscard]] bool drop_damaged_layers(const Context& context, const Operation& op);

} // namespace aipack::build
