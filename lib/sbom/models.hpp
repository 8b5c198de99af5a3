#pragma once

#include "layer_reader.hpp"

#include <memory>
#include <string>
#include <vector>

namespace aipack::sbom {

/// A file of a model layer, with what its facts can be read from.
struct FoundModelFile {
  File file;
  std::shared_ptr<const std::string> content{}; ///< of *.onnx files in layers that were read whole
  blob::BlobPtr layer{};                        ///< else: where to read in place
};

/// The files of one model layer. Up to max_hashed_bytes it is read whole, and verified; of a larger
/// one headers are read.
[[nodiscard]] std::vector<FoundModelFile> find_model_files(const image::StoredImage& image,
                                                           const image::StoredLayer& layer,
                                                           const image::ReadLimits& limits,
                                                           const Operation& op);

/// Files to models, by where they stand below the folder of the models: "/models/NAME.onnx",
/// "/models/NAME/…" or a single file of another format. Sorted by name, facts read.
[[nodiscard]] std::vector<Model> make_models(const std::vector<FoundModelFile>& files,
                                             const Operation& op);

} // namespace aipack::sbom
