#include "aipack/transfer/open_image.hpp"

#include "aipack/core/error.hpp"
#include "aipack/oci/document.hpp"

#include "document.hpp"

namespace aipack::transfer {

image::ImageSource open_image(Origin& origin, const Operation& op,
                              const image::ReadLimits& limits) {
  return open_image(origin, origin.resolve(op), op, limits);
}

image::ImageSource open_image(Origin& origin, const oci::Descriptor& root, const Operation& op,
                              const image::ReadLimits& limits) {
  const auto find = [&origin, &op](const oci::Descriptor& descriptor) -> blob::BlobPtr {
    try {
      const bool is_document =
          oci::is_index(descriptor.media_type) || oci::is_manifest(descriptor.media_type);
      return is_document ? as_blob(origin.manifest(descriptor, op)) : origin.blob(descriptor, op);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) {
        throw;
      }
      return nullptr; // a sparse copy
    }
  };
  return image::ImageSource::open(origin.name(), root, find, op, limits);
}

} // namespace aipack::transfer
