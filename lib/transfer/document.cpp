#include "document.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <fmt/format.h>

namespace aipack::transfer {
namespace {

Content index_content(const oci::Index& index) {
  return {.is_index = true,
          .manifests = index.manifests,
          .subject = index.subject,
          .artifact_type = index.artifact_type,
          .annotations = index.annotations};
}

Content manifest_content(const oci::Manifest& manifest) {
  Content content{.blobs = manifest.layers,
                  .subject = manifest.subject,
                  .artifact_type = manifest.artifact_type.empty() ? manifest.config.media_type
                                                                  : manifest.artifact_type,
                  .annotations = manifest.annotations};
  content.blobs.push_back(manifest.config);
  return content;
}

} // namespace

Content read_content(const registry::Document& document) {
  const auto& descriptor = document.descriptor; // no binding: Clang 14 does not capture those
  const auto name = fmt::format("manifest {}", descriptor.digest.to_string());
  const auto check_type = [&](std::string_view own) {
    if (own != descriptor.media_type) {
      throw FormatError(name, std::nullopt,
                        fmt::format("it is of the type {}, and was announced as {}", quoted(own),
                                    quoted(descriptor.media_type)));
    }
  };
  if (oci::is_index(descriptor.media_type)) {
    const auto index = oci::parse_index(document.bytes, name);
    check_type(index->media_type);
    return index_content(index.value());
  }
  if (oci::is_manifest(descriptor.media_type)) {
    const auto manifest = oci::parse_manifest(document.bytes, name);
    check_type(manifest->media_type);
    return manifest_content(manifest.value());
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("cannot follow {}: aipack does not know the type {}", name,
                          quoted(descriptor.media_type)));
}

bool may_be_distributed(std::string_view media_type) noexcept {
  return media_type.find(".nondistributable.") == std::string_view::npos &&
         media_type.find(".foreign.") == std::string_view::npos;
}

oci::Descriptor listed_descriptor(const registry::Document& document, const Content& content) {
  oci::Descriptor descriptor{document.descriptor.media_type, document.descriptor.digest,
                             document.descriptor.size_bytes};
  descriptor.artifact_type = content.artifact_type;
  descriptor.annotations = content.annotations;
  return descriptor;
}

bool is_about_content(const Error& error) noexcept {
  switch (error.code()) {
  case ErrorCode::corrupt:
  case ErrorCode::unsupported:
  case ErrorCode::not_found:
  case ErrorCode::already_exists:
  case ErrorCode::denied:
    return true;
  case ErrorCode::invalid_input:
  case ErrorCode::unsatisfiable:
  case ErrorCode::unauthenticated:
  case ErrorCode::unavailable:
  case ErrorCode::io:
  case ErrorCode::cancelled:
  case ErrorCode::internal:
    return false;
  }
  return false;
}

blob::BlobPtr as_blob(const registry::Document& document) {
  return blob::memory_blob(document.descriptor, document.bytes);
}

} // namespace aipack::transfer
