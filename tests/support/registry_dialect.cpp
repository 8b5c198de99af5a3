#include "support/registry_dialect.hpp"

#include <array>
#include <utility>

namespace aipack::test {

RegistryDialect RegistryDialect::full() {
  return {};
}

/// docker-registry 2.8, as measured: no resume, sessions die with their connection, offsets are
/// not checked.
RegistryDialect RegistryDialect::distribution_2_8() {
  RegistryDialect d;
  d.name = "distribution_2_8";
  d.state_in_location = true;
  d.single_post = false;
  d.mount_without_from = MountWithoutFrom::session;
  d.checks_offset = false;
  d.partial_chunk = PartialChunk::poison;
  d.sha512 = Sha512::rewritten;
  d.needs_accept = true;
  d.tag_params = false;
  d.max_manifest_status = 400;
  d.referrers = false;
  d.tags_sorted = false;
  d.tags_paging = false;
  d.failed_close_ends_session = false;
  d.short_416 = true;
  d.verifies_sizes = false;
  d.tag_delete_status = 400;
  d.names_unknown_repository = false;
  return d;
}

/// distribution 3: offsets are checked, what arrived stays, a status GET tells the truth.
RegistryDialect RegistryDialect::distribution_3() {
  RegistryDialect d;
  d.name = "distribution_3";
  d.state_in_location = true;
  d.status_ignores_state = true;
  d.single_post = false;
  d.mount_without_from = MountWithoutFrom::session;
  d.partial_chunk = PartialChunk::keep;
  d.needs_accept = true;
  d.tag_params = false;
  d.max_manifest_status = 400;
  d.referrers = false;
  return d;
}

/// `crane registry serve`, as measured.
RegistryDialect RegistryDialect::crane() {
  RegistryDialect d;
  d.name = "crane";
  d.absolute_location = false;
  d.upload_status = false;
  d.upload_cancel = false;
  d.patch_status = 204;
  d.sha512 = Sha512::refused;
  d.etag = false;
  d.tag_params = false;
  d.verifies_blobs = false;
  d.missing_child_status = 404;
  d.referrers = false;
  return d;
}

/// Zot before the fix of its Range header.
RegistryDialect RegistryDialect::zot() {
  RegistryDialect d;
  d.name = "zot";
  d.absolute_location = false;
  d.range_report = RangeReport::chunk_only;
  return d;
}

/// Amazon ECR; its minimum of 5 MiB is what a test with small blobs changes.
RegistryDialect RegistryDialect::ecr() {
  RegistryDialect d;
  d.name = "ecr";
  d.patch_status = 201;
  d.min_chunk = std::uint64_t{5} << 20;
  d.range_report = RangeReport::sticks_after_first;
  d.blob_redirect = 307;
  d.max_tags_n = 1000;
  d.creates_repositories = false;
  d.tag_params = false;
  return d;
}

/// Google Artifact Registry: bodies come whole.
RegistryDialect RegistryDialect::google() {
  RegistryDialect d;
  d.name = "google";
  d.chunks = Chunks::one;
  d.tag_params = false;
  return d;
}

/// GitHub's registry.
RegistryDialect RegistryDialect::ghcr() {
  RegistryDialect d;
  d.name = "ghcr";
  d.max_chunk = std::uint64_t{4} << 20;
  d.referrers = false;
  d.blob_redirect = 307;
  d.tag_params = false;
  return d;
}

/// Quay with its strict schemas.
RegistryDialect RegistryDialect::quay() {
  RegistryDialect d;
  d.name = "quay";
  d.mount_without_from = MountWithoutFrom::error;
  d.blob_redirect = 302;
  d.config_types = {"application/vnd.oci.image.config.v1+json",
                    "application/vnd.docker.container.image.v1+json",
                    "application/vnd.oci.empty.v1+json"};
  d.tag_params = false;
  return d;
}

RegistryDialect RegistryDialect::artifactory() {
  RegistryDialect d;
  d.name = "artifactory";
  d.put_with_body = false;
  d.absent_tag_status = 403;
  d.tag_params = false;
  return d;
}

RegistryDialect RegistryDialect::no_single_post() {
  RegistryDialect d;
  d.name = "no_single_post";
  d.single_post = false;
  return d;
}

RegistryDialect RegistryDialect::no_referrers() {
  RegistryDialect d;
  d.name = "no_referrers";
  d.referrers = false;
  return d;
}

RegistryDialect RegistryDialect::cannot_resume() {
  RegistryDialect d;
  d.name = "cannot_resume";
  d.upload_status = false;
  d.partial_chunk = PartialChunk::poison;
  return d;
}

RegistryDialect RegistryDialect::redirecting() {
  RegistryDialect d;
  d.name = "redirecting";
  d.uploads_at_storage = true;
  d.blob_redirect = 307;
  d.redirect_blob_head = true;
  return d;
}

namespace {

using Make = RegistryDialect (*)();
constexpr std::array<std::pair<std::string_view, Make>, 14> presets{{
    {"full", RegistryDialect::full},
    {"distribution_2_8", RegistryDialect::distribution_2_8},
    {"distribution_3", RegistryDialect::distribution_3},
    {"crane", RegistryDialect::crane},
    {"zot", RegistryDialect::zot},
    {"ecr", RegistryDialect::ecr},
    {"google", RegistryDialect::google},
    {"ghcr", RegistryDialect::ghcr},
    {"quay", RegistryDialect::quay},
    {"artifactory", RegistryDialect::artifactory},
    {"no_single_post", RegistryDialect::no_single_post},
    {"no_referrers", RegistryDialect::no_referrers},
    {"cannot_resume", RegistryDialect::cannot_resume},
    {"redirecting", RegistryDialect::redirecting},
}};

} // namespace

std::optional<RegistryDialect> RegistryDialect::find(std::string_view name) {
  for (const auto& [known, make] : presets) {
    if (known == name) {
      return make();
    }
  }
  return std::nullopt;
}

std::vector<std::string> RegistryDialect::names() {
  std::vector<std::string> out;
  for (const auto& [known, make] : presets) {
    out.emplace_back(known);
  }
  return out;
}

} // namespace aipack::test
