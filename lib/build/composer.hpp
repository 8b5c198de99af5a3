#pragma once

#include "aipack/build/engine.hpp"

#include "context.hpp"

#include <vector>

namespace aipack::build {

/// One platform's layers below the model, with what was decided on the way.
struct PlatformLayers {
  std::vector<image::Layer> layers;
  std::int64_t epoch = 0; ///< seconds: `created` of the image
  PlatformReport report;  ///< without digest
};

/// Where the bytes of the model layers go in the pass that hashes them.
struct WeightsPlace {
  blob::BlobPlacer* into = nullptr; ///< null: nowhere, they stay where they are
  unsigned concurrency = 0;         ///< layers at once; 0: as many as there are threads
};

/// Whether a composition that was made before of the same inputs may stand for one that is made.
enum class Compositions { remembered, made_anew };

/// Hops 6 and 7: packages fetched and opened, the root composed, cut into layers; nothing sealed.
[[nodiscard]] PlatformReport describe_platform(Context& context, const Plan& plan,
                                               const ImagePlan& image, deb::PackageSource& packages,
                                               const Operation& op);

/// Hops 6 to 8 for one platform, or the remembered result of the same inputs.
[[nodiscard]] PlatformLayers compose_platform(Context& context, const Plan& plan,
                                              const ImagePlan& image, deb::PackageSource& packages,
                                              Compositions compositions, unsigned codec_threads,
                                              const Operation& op);

/// The layers of the models: the same for every platform. With `into` their bytes go there in the
/// pass that hashes them.
[[nodiscard]] std::vector<image::Layer> seal_models(Context& context, const Plan& plan,
                                                    const WeightsPlace& place, const Operation& op);
/// What goes on top of a base image, not yet bytes: the user's files, then the models.
[[nodiscard]] std::vector<image::LayerPlan> layers_on_base(const Plan& plan, const Operation& op);
[[nodiscard]] LayerReport planned_layer(const image::LayerPlan& layer);
/// The layers of the user's files on top of a base image. Folders that were not given themselves
/// are left to the base, whose own mode and owner they keep.
[[nodiscard]] std::vector<image::Layer> seal_user_files(Context& context, const Plan& plan,
                                                        const Operation& op);

/// A model file's place in the image.
[[nodiscard]] fs::RootPath model_path(const std::string& models_directory,
                                      const PlannedModel& model, const model::ModelFile& file);

} // namespace aipack::build
