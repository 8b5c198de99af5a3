#include "composer.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/split.hpp"

#include "composition_cache.hpp"
#include "purpose.hpp"
#include "user_files.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

namespace aipack::build {

namespace {

/// Weights keep their layer when packages or SOURCE_DATE_EPOCH change, so their time is a constant.
constexpr std::int64_t model_mtime = 0;
/// By which the server knows a model, whatever the user's file was called.
constexpr std::string_view model_extension = ".onnx";

/// A composed root with what it was cut into.
struct Root {
  rootfs::Composition composition;
  std::vector<image::LayerPlan> layers;
  std::int64_t epoch = 0;
};

std::vector<rootfs::Input> open_packages(Context& context, const ImagePlan& image,
                                         deb::PackageSource& packages, const Operation& op) {
  return map_each<rootfs::Input>(
      image.choices, context.threads, op, [&](const solve::Choice& choice, const Operation& inner) {
        const auto file = packages.fetch(choice.package, inner);
        return with_context(
            [&] {
              return rootfs::Input{
                  choice.package, deb::open_package(file, choice.package.digest,
                                                    context.options.cache_dir / "unpacked", inner)};
            },
            fmt::format("while reading package '{}'", choice.package.label()));
      });
}

/// The newest file of the packages: a time that comes from the inputs.
std::int64_t newest_mtime(const std::vector<rootfs::Input>& packages) {
  std::int64_t newest = 0;
  for (const auto& package : packages) {
    for (const auto& member : package.file.members) {
      newest = std::max(newest, member.member.mtime);
    }
  }
  return newest;
}

/// Names of the packages that the user asked for beside the runtime's.
std::vector<std::string> requested_names(const ImagePlan& image) {
  std::vector<std::string> names;
  for (const auto& wanted : image.requested) {
    for (const auto& choice : image.choices) {
      const auto& name = choice.package.name;
      const bool named =
          wanted.starts_with(name) &&
          (wanted.size() == name.size() ||
           std::string_view(" =(:").find(wanted[name.size()]) != std::string_view::npos);
      if (named || (choice.required_by.empty() && choice.relation == wanted)) {
        names.push_back(name);
      }
    }
  }
  return names;
}

/// The program that the plan pins, as it is now: it is read once more when the layer is sealed, and
/// must still be in the state that is hashed here.
rootfs::ExtraFile server_file(Context& context, const ImagePlan& image, std::int64_t epoch,
                              const Operation& op) {
  const auto file = context.data_file(image.runtime.server);
  const auto identity = io::File::open(file).identity();
  if (blob::file_digest(file, context.digests, op) != image.server_digest) {
    throw Error(ErrorCode::io, fmt::format("cannot compose {}: {} changed since the plan was made",
                                           image.platform.to_string(), quoted(file.string())))
        .with_hint("run the command again");
  }
  return {fs::RootPath::parse(image.runtime.server_path),
          {.type = fs::FileType::regular,
           .mode = 0755,
           .mtime = epoch,
           .content = std::make_shared<fs::FileExtent>(file, 0, identity.size_bytes, identity),
           .reason = fs::Reason{.rule = "entrypoint", .detail = "the image's server", .from = {}}}};
}

/// The user's files may not take the places of what aipack itself puts there.
void refuse_own_paths(const std::vector<rootfs::ExtraFile>& files, const ImagePlan& image) {
  const auto models = fs::RootPath::parse(image.runtime.models_directory);
  for (const auto& file : files) {
    const bool is_directory = file.entry.type == fs::FileType::directory;
    if (file.path.to_string() == image.runtime.server_path ||
        file.path.text() == rootfs::record_path || (file.path == models && !is_directory) ||
        (file.path.is_within(models) && file.path.filename().ends_with(model_extension))) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot add a file at '{}': aipack puts its own there",
                              file.path.to_string()));
    }
  }
}

std::vector<std::string> entrypoint_of(const BuildRequest& request, const ImagePlan& image) {
  return request.entrypoint.empty() ? image.runtime.entrypoint : request.entrypoint;
}

Root compose_root(Context& context, const Plan& plan, const ImagePlan& image,
                  deb::PackageSource& packages, const Operation& op) {
  rootfs::Request request{.platform = image.platform,
                          .packages = open_packages(context, image, packages, op),
                          .entrypoint = entrypoint_of(plan.request, image),
                          .dlopened = image.runtime.dlopened,
                          .data = image.runtime.data,
                          .whole_packages = requested_names(image),
                          .user = plan.request.user};
  request.epoch = plan.request.source_date_epoch.value_or(newest_mtime(request.packages));
  request.waived_scripts = plan.request.waived_scripts;
  for (const auto& [name, requirer] : image.assumed) {
    request.assumed.push_back(name);
  }
  request.extra = collect_user_files(plan.request.files, request.epoch, op);
  refuse_own_paths(request.extra, image);
  if (!image.runtime.server.empty() && request.entrypoint.front() == image.runtime.server_path) {
    request.extra.push_back(server_file(context, image, request.epoch, op));
  }

  Root root{.composition = rootfs::compose(request, op), .layers = {}, .epoch = request.epoch};
  auto& tree = root.composition.tree;
  tree.put(fs::RootPath::parse(rootfs::record_path),
           {.mode = 0644,
            .mtime = root.epoch,
            .content = fs::memory_content(rootfs::write_record(root.composition)),
            .reason = fs::Reason{.rule = "generated",
                                 .detail = "record of the composition, for 'aipack why'",
                                 .from = {}}});
  tree.put(
      fs::RootPath::parse(image.runtime.models_directory),
      {.type = fs::FileType::directory,
       .mode = 0755,
       .mtime = root.epoch,
       .reason = fs::Reason{.rule = "generated", .detail = "folder of the models", .from = {}}});
  tree.add_missing_parents(root.epoch);
  root.layers =
      image::split(tree, purpose_of(image.runtime.server_path),
                   {.compression = plan.request.compression, .directory_mtime = root.epoch});
  return root;
}

/// The report's part that comes from the composition.
PlatformReport report_of(const ImagePlan& image, const rootfs::Composition& composition) {
  PlatformReport report{.platform = image.platform,
                        .runtime = image.runtime.name + " " + image.runtime.version};
  for (const auto& kept : composition.packages) {
    const auto choice = std::ranges::find(
        image.choices, kept.name, [](const solve::Choice& item) { return item.package.name; });
    if (choice != image.choices.end()) {
      report.packages.push_back(*choice);
    }
  }
  report.dropped = composition.dropped;
  report.scripts = composition.scripts;
  report.notes = composition.notes;
  return report;
}

/// What the plan had to leave out stands first among the notes.
void add_skipped(PlatformReport& report, const ImagePlan& image) {
  report.notes.insert(report.notes.begin(), image.skipped.begin(), image.skipped.end());
}

/// A remembered composition names its packages; what they are stands in the plan, whose digests are
/// part of the key.
void restore_packages(PlatformReport& report, const ImagePlan& image) {
  report.platform = image.platform;
  report.runtime = image.runtime.name + " " + image.runtime.version;
  for (auto& kept : report.packages) {
    const auto choice =
        std::ranges::find(image.choices, kept.package.name,
                          [](const solve::Choice& item) { return item.package.name; });
    if (choice != image.choices.end()) {
      kept = *choice;
    }
  }
}

/// An image of ours stays below ten layers; on a base, a shard is a layer, so that they travel side
/// by side.
constexpr std::size_t max_model_layers_on_base = 64;
constexpr std::uint64_t min_shard_bytes = std::uint64_t{1} << 20;

std::vector<image::LayerPlan> model_layer_plans(const Plan& plan) {
  fs::FileTree tree;
  const auto& image = plan.images.front();
  const std::string directory = image.base ? "/models" : image.runtime.models_directory;
  for (const auto& model : plan.models) {
    for (const auto& file : model.files) {
      tree.put(
          model_path(directory, model, file),
          {.mode = 0644,
           .mtime = model_mtime,
           .content =
               std::make_shared<fs::FileExtent>(file.source, 0, file.size_bytes, file.identity),
           .reason = fs::Reason{.rule = "model", .detail = "model " + model.name, .from = {}}});
    }
  }
  tree.add_missing_parents(model_mtime);
  return image::split(
      tree, [](const auto&, const auto&) { return image::Purpose::model; },
      {.model_compression = plan.request.model_compression,
       .directory_mtime = model_mtime,
       .max_model_layers = image.base ? max_model_layers_on_base : image::max_model_layers,
       .min_own_layer_bytes = image.base ? min_shard_bytes : 0});
}

} // namespace

fs::RootPath model_path(const std::string& models_directory, const PlannedModel& model,
                        const model::ModelFile& file) {
  const auto directory = fs::RootPath::parse(models_directory);
  if (model.plain) {
    const bool is_file = model.files.size() == 1 && model.files.front().path == model.name;
    return is_file ? directory / model.name : directory / model.name / file.path;
  }
  if (model.files.size() == 1) {
    // A model of one file stands under the name that it is served by.
    return directory / (model.name + std::string(model_extension));
  }
  const bool is_main = &file == &model.files.front();
  const auto folder = directory / model.name;
  return folder / (is_main ? model.name + std::string(model_extension) : file.path);
}

PlatformReport describe_platform(Context& context, const Plan& plan, const ImagePlan& image,
                                 deb::PackageSource& packages, const Operation& op) {
  const auto root = compose_root(context, plan, image, packages, op);
  auto report = report_of(image, root.composition);
  add_skipped(report, image);
  auto layers = root.layers;
  for (auto& model : model_layer_plans(plan)) {
    layers.push_back(std::move(model));
  }
  for (const auto& layer : layers) {
    report.layers.push_back(planned_layer(layer));
    report.image_bytes += layer.content_bytes();
  }
  return report;
}

PlatformLayers compose_platform(Context& context, const Plan& plan, const ImagePlan& image,
                                deb::PackageSource& packages, Compositions compositions,
                                unsigned codec_threads, const Operation& op) {
  const auto key = composition_key(plan, image, op);
  auto known =
      compositions == Compositions::remembered ? find_composition(context, key) : std::nullopt;
  if (known) {
    restore_packages(known->report, image);
    add_skipped(known->report, image);
    return std::move(*known);
  }
  auto root = compose_root(context, plan, image, packages, op);
  PlatformLayers result{
      .layers = {}, .epoch = root.epoch, .report = report_of(image, root.composition)};
  result.layers = map_each<image::Layer>(
      root.layers, context.threads, op, [&](const image::LayerPlan& layer, const Operation& inner) {
        return image::seal(layer, context.layers, {.threads = codec_threads}, inner);
      });
  remember_composition(context, key, result);
  add_skipped(result.report, image);
  return result;
}

std::vector<image::Layer> seal_models(Context& context, const Plan& plan, const WeightsPlace& place,
                                      const Operation& op) {
  const auto plans = model_layer_plans(plan);
  const auto at_once = place.concurrency != 0 ? place.concurrency : context.threads;
  return map_each<image::Layer>(
      plans, at_once, op, [&](const image::LayerPlan& layer, const Operation& inner) {
        return plan.request.model_compression.codec == codec::Codec::none
                   ? image::seal_weights(layer, place.into, {.digest_cache = &context.digests},
                                         inner)
                   : image::seal(layer, context.layers, {.threads = context.threads}, inner);
      });
}

namespace {

std::vector<image::LayerPlan> user_file_layers(const Plan& plan, const Operation& op) {
  const auto epoch = plan.request.source_date_epoch.value_or(0);
  const auto files = collect_user_files(plan.request.files, epoch, op);
  fs::FileTree tree;
  std::set<fs::RootPath> given;
  for (const auto& file : files) {
    given.insert(file.path);
    tree.put(file.path, file.entry);
  }
  tree.add_missing_parents(epoch);
  auto layers = image::split(tree, [](const auto&, const auto&) { return image::Purpose::files; },
                             {.compression = plan.request.compression, .directory_mtime = epoch});
  for (auto& layer : layers) {
    layer.has_layers_below = true;
    std::erase_if(layer.entries, [&](const auto& entry) {
      return entry.second.type == fs::FileType::directory && !given.contains(entry.first);
    });
  }
  std::erase_if(layers, [](const auto& layer) { return layer.entries.empty(); });
  return layers;
}

} // namespace

std::vector<image::LayerPlan> layers_on_base(const Plan& plan, const Operation& op) {
  auto layers = user_file_layers(plan, op);
  std::ranges::move(model_layer_plans(plan), std::back_inserter(layers));
  return layers;
}

LayerReport planned_layer(const image::LayerPlan& layer) {
  return {.purpose = layer.purpose,
          .title = layer.title,
          .uncompressed_bytes = layer.content_bytes(),
          .files = layer.file_count()};
}

std::vector<image::Layer> seal_user_files(Context& context, const Plan& plan, const Operation& op) {
  const auto layers = user_file_layers(plan, op);
  return map_each<image::Layer>(
      layers, context.threads, op, [&](const image::LayerPlan& layer, const Operation& inner) {
        return image::seal(layer, context.layers, {.threads = context.threads}, inner);
      });
}

} // namespace aipack::build
