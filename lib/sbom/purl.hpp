#pragma once

#include "aipack/sbom/sbom.hpp"

#include <string>
#include <string_view>

namespace aipack::sbom {

/// Package URLs. Source: purl-spec (PURL-SPECIFICATION.rst, PURL-TYPES.rst "deb" and "oci").
///
/// "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie"
[[nodiscard]] std::string deb_purl(const Package& package, const std::string& suite);
/// "pkg:oci/digits@sha256%3A…?arch=amd64"; without an architecture for an index.
[[nodiscard]] std::string oci_purl(std::string_view name, const oci::Digest& digest,
                                   std::string_view architecture = {});
/// Of an image on whose repository something is known: "…?repository_url=…&tag=…".
[[nodiscard]] std::string base_purl(const BaseImage& base);
/// What an OCI reference may hold of a title: lower case, one '-' for everything else.
[[nodiscard]] std::string repository_name(std::string_view title);
/// "trixie-security" is of "trixie".
[[nodiscard]] std::string codename_of(std::string_view suite);

} // namespace aipack::sbom
