#include "bindings.hpp"

namespace aipack::python {

namespace {

std::string digest_text(const oci::Digest& digest) {
  return digest.to_string();
}

} // namespace

void bind_image(py::module_& module) {
  using image::ImageSource;
  using image::StoredImage;
  using image::StoredLayer;
  py::class_<StoredLayer>(module, "ImageLayer", "A layer of an image that was read back.")
      .def_property_readonly("purpose",
                             [](const StoredLayer& layer) -> std::optional<std::string> {
                               return layer.purpose
                                          ? std::optional(std::string(to_string(*layer.purpose)))
                                          : std::nullopt;
                             })
      .def_readonly("title", &StoredLayer::title)
      .def_property_readonly(
          "digest", [](const StoredLayer& layer) { return digest_text(layer.descriptor.digest); })
      .def_property_readonly("diff_id",
                             [](const StoredLayer& layer) { return digest_text(layer.diff_id); })
      .def_property_readonly("media_type",
                             [](const StoredLayer& layer) { return layer.descriptor.media_type; })
      .def_property_readonly("size_bytes",
                             [](const StoredLayer& layer) { return layer.descriptor.size_bytes; });
  py::class_<StoredImage>(module, "PlatformImage", "One platform's image.")
      .def_property_readonly("platform",
                             [](const StoredImage& image) { return image.platform.to_string(); })
      .def_property_readonly(
          "digest",
          [](const StoredImage& image) { return digest_text(image.manifest.descriptor().digest); })
      .def_property_readonly(
          "config_json", [](const StoredImage& image) { return text(image.config.bytes()); },
          "The image config, its exact JSON.")
      .def_property_readonly("entrypoint",
                             [](const StoredImage& image) { return image.config->entrypoint; })
      .def_property_readonly("user", [](const StoredImage& image) { return image.config->user; })
      .def_property_readonly("labels",
                             [](const StoredImage& image) { return image.config->labels; })
      .def_readonly("layers", &StoredImage::layers);
  py::class_<ImageSource>(module, "Image", "An image, read back.")
      .def_property_readonly(
          "digest",
          [](const ImageSource& source) { return digest_text(source.descriptor().digest); })
      .def_property_readonly(
          "media_type", [](const ImageSource& source) { return source.descriptor().media_type; })
      .def_property_readonly("images", [](const ImageSource& source) { return source.images(); });
}

} // namespace aipack::python
