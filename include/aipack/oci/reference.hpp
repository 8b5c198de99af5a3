#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/digest.hpp"

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::oci {

/// "HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]", or "REPOSITORY[:TAG]" without a registry (a name for a
/// local image). Grammar: distribution-spec 1.1, "Pulling manifests": repository components
/// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*, tag [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}; the first component is
/// a registry when it holds a '.' or ':' or is "localhost" (the rule of docker and podman).
class AIPACK_API Reference {
public:
  [[nodiscard]] static Reference
  parse(std::string_view text); ///< throws Error{invalid_input} that says which part is wrong
  [[nodiscard]] static std::optional<Reference> try_parse(std::string_view text);

  [[nodiscard]] const std::string& registry() const noexcept { return registry_; } ///< empty: none
  [[nodiscard]] const std::string& repository() const noexcept { return repository_; }
  [[nodiscard]] const std::string& tag() const noexcept { return tag_; } ///< empty: none
  [[nodiscard]] const std::optional<Digest>& digest() const noexcept { return digest_; }
  [[nodiscard]] std::string to_string() const;
  /// The same repository, without the tag and by this digest.
  [[nodiscard]] Reference with_digest(const Digest& digest) const;
  bool operator==(const Reference&) const = default;

private:
  Reference() = default;
  std::string registry_;
  std::string repository_;
  std::string tag_;
  std::optional<Digest> digest_;
};

} // namespace aipack::oci
