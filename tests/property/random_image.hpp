#pragma once

#include "aipack/image/image.hpp"
#include "aipack/oci/media_type.hpp"

#include <random>
#include <string>
#include <vector>

namespace aipack::test {

using Random = std::mt19937_64;

inline std::uint64_t below(Random& random, std::uint64_t limit) {
  return random() % limit;
}

template <class Items>
const auto& one_of(Random& random, const Items& items) {
  return items[below(random, items.size())];
}

inline image::Layer random_layer(Random& random) {
  // Most layers are small; some are large enough for chunks and ranges of the sizes that tests set.
  const auto size = below(random, below(random, 4) == 0 ? 400'000 : 4'000);
  std::string bytes(size, '\0');
  for (auto& byte : bytes) {
    byte = static_cast<char>(random());
  }
  const auto digest = oci::Digest::of(bytes);
  const oci::Descriptor descriptor{std::string(oci::media_type::layer_tar), digest, bytes.size()};
  return {.purpose = image::Purpose::model,
          .title = "random",
          .blob = blob::memory_blob(descriptor, std::move(bytes)),
          .diff_id = digest,
          .uncompressed_bytes = size,
          .file_count = 1};
}

/// An index of one to three platforms that share a layer.
inline image::Index random_index(Random& random) {
  const auto shared = random_layer(random);
  std::vector<image::Image> images;
  const auto platforms = oci::Platform::all();
  const auto count = 1 + below(random, platforms.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<image::Layer> layers{shared};
    for (auto more = below(random, 4); more > 0; --more) {
      layers.push_back(random_layer(random));
    }
    images.push_back(image::make_image(std::move(layers), {.platform = platforms[i],
                                                           .created = 0,
                                                           .user = "65532:65532",
                                                           .entrypoint = {"/server"},
                                                           .cmd = {},
                                                           .env = {},
                                                           .exposed_ports = {},
                                                           .labels = {},
                                                           .annotations = {}}));
  }
  return image::make_index(std::move(images), {{"seed", std::to_string(random())}});
}

} // namespace aipack::test
