#include "rebuild.hpp"

#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/sign/statement.hpp"
#include "aipack/transfer/open_image.hpp"
#include "aipack/trust/verification.hpp"

#include "compose.hpp"
#include "extraction.hpp"
#include "planner.hpp"
#include "provenance.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace aipack::build {

namespace {

namespace stdfs = std::filesystem;

/// Others may have attested how they got the image, too: the first that aipack wrote counts.
const std::string& own_predicate(const std::vector<sign::Statement>& statements) {
  const auto own = std::ranges::find_if(statements, [](const sign::Statement& statement) {
    return is_own_provenance(statement.predicate);
  });
  return (own == statements.end() ? statements.front() : *own).predicate;
}

/// Where the base image is: a registry's is named, one on the builder's disk is not.
void place_base(Provenance& provenance, const Lock& lock, const RebuildRequest& asked,
                const image::Location& location) {
  if (!is_local_base(provenance.request.base)) {
    return;
  }
  if (asked.base.empty()) {
    const auto& base = lock.images.front().base;
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot repeat the build of {}: it stands on a base image that lay on "
                            "the builder's disk{}",
                            quoted(location.to_string()),
                            base ? ", " + base->manifest.digest.to_string() : std::string()))
        .with_hint("say with --base where it is now: oci:DIR or oci-archive:FILE");
  }
  if (image::Location::parse(asked.base).reference) {
    throw Error(
        ErrorCode::invalid_input,
        fmt::format("cannot use the base image {}: the one that was built on lay on a disk, "
                    "and the image says nothing of a registry",
                    quoted(asked.base)))
        .with_hint("copy it to a layout, and name that");
  }
  set_base(provenance, asked.base);
}

/// Fills in what a provenance does not say: where the files are. Returns what is wrong with those
/// that the image holds.
std::vector<WrongInput> place_inputs(Provenance& provenance, const Lock& lock,
                                     const image::ImageSource& source, const RebuildRequest& asked,
                                     const stdfs::path& directory, const Operation& op) {
  auto& request = provenance.request;
  request.mirror = asked.mirror;
  request.models = asked.models;
  if (lock.models.size() == 1) {
    request.model_name = lock.models.front().name;
  }
  if (!request.models.empty() && provenance.files.empty()) {
    return {};
  }
  if (source.images().empty()) {
    throw Error(ErrorCode::unsupported, "cannot repeat the build: it holds no image");
  }
  Extraction extraction(source.images().front(), directory, op);
  if (request.models.empty()) {
    const auto& plan = lock.images.front();
    const bool plain = plan.base.has_value();
    for (const auto& model : lock.models) {
      request.models.push_back(
          extraction.want_model(model, plain ? "/models" : plan.runtime.models_directory, plain));
    }
  }
  for (const auto& files : provenance.files) {
    request.files.push_back({extraction.want_files(files), files.target});
  }
  return extraction.take();
}

LayerDifference difference_of(const image::StoredImage& image, std::size_t layer) {
  const auto& stored = image.layers.at(layer);
  return {.platform = image.platform,
          .purpose = stored.purpose.value_or(image::Purpose::base),
          .title = stored.title,
          .expected = stored.diff_id};
}

/// The verdict where composing would only repeat what the image says of itself.
RebuildReport refuse_inputs(const image::ImageSource& source,
                            const std::vector<WrongInput>& inputs) {
  RebuildReport report{
      .expected = source.descriptor().digest, .rebuilt = oci::Digest::of(""), .composed = false};
  std::set<std::size_t> layers;
  for (const auto& input : inputs) {
    report.inputs.push_back(input.what + " " + input.fault);
    if (input.layer && layers.insert(*input.layer).second) {
      report.layers.push_back(difference_of(source.images().front(), *input.layer));
    }
  }
  report.reason = fmt::format(
      "its {}{}; what its provenance names was not found in it", report.inputs.front(),
      inputs.size() > 1 ? fmt::format(", and {} more are wrong", inputs.size() - 1) : "");
  return report;
}

std::vector<LayerDifference> compare_layers(const image::StoredImage& expected,
                                            const image::Image& rebuilt) {
  std::vector<LayerDifference> differences;
  const auto count = std::max(expected.layers.size(), rebuilt.layers.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto* const old_layer = i < expected.layers.size() ? &expected.layers[i] : nullptr;
    const auto* const new_layer = i < rebuilt.layers.size() ? &rebuilt.layers[i] : nullptr;
    if (old_layer != nullptr && new_layer != nullptr && old_layer->diff_id == new_layer->diff_id) {
      continue;
    }
    LayerDifference difference{.platform = rebuilt.platform};
    if (new_layer != nullptr) {
      difference.purpose = new_layer->purpose;
      difference.title = new_layer->title;
      difference.rebuilt = new_layer->diff_id;
    }
    if (old_layer != nullptr) {
      difference.purpose = old_layer->purpose.value_or(difference.purpose);
      difference.title = old_layer->title.empty() ? difference.title : old_layer->title;
      difference.expected = old_layer->diff_id;
    }
    differences.push_back(std::move(difference));
  }
  return differences;
}

/// Models without digests of their own stand or fall with their layers. With neither, an image
/// whose models come out of itself would be compared with itself.
void check_pinned(const Lock& lock, const Provenance& provenance, const image::Location& location) {
  for (const auto& model : lock.models) {
    for (const auto& file : model.files) {
      if (!file.digest && provenance.model_layers.empty()) {
        throw Error(ErrorCode::unsupported,
                    fmt::format("cannot repeat the build of {}: its provenance has no digest of "
                                "model file {}, nor of its layer",
                                quoted(location.to_string()), quoted(file.path)))
            .with_hint("give the model's files with --with-model");
      }
    }
  }
}

/// The models' layers, which are those of the image, that are not the ones that its provenance
/// names. Empty where it names none.
std::vector<LayerDifference> compare_model_layers(const Composed& rebuilt,
                                                  const std::vector<oci::Digest>& named) {
  std::vector<LayerDifference> differences;
  if (named.empty()) {
    return differences;
  }
  const auto& models = rebuilt.models;
  for (std::size_t i = 0; i < std::max(models.size(), named.size()); ++i) {
    LayerDifference difference{.platform = rebuilt.index.images.front().platform,
                               .purpose = image::Purpose::model};
    if (i < models.size()) {
      difference.title = models[i].title;
      difference.expected = models[i].diff_id;
    }
    if (i < named.size()) {
      difference.rebuilt = named[i];
    }
    if (difference.expected != difference.rebuilt) {
      differences.push_back(std::move(difference));
    }
  }
  return differences;
}

/// An image with its counterpart; of an index all, of a manifest one.
using Pair = std::pair<const image::StoredImage*, const image::Image*>;

std::vector<Pair> pairs_of(const image::ImageSource& expected, const image::Index& rebuilt) {
  std::vector<Pair> pairs;
  for (const auto& stored : expected.images()) {
    const auto image = std::ranges::find(rebuilt.images, stored.platform, &image::Image::platform);
    if (image != rebuilt.images.end()) {
      pairs.emplace_back(&stored, &*image);
    }
  }
  return pairs;
}

/// Which layers may be stored in other bytes: those of a codec that is another one here. It is the
/// signer who says what theirs was, so this is no proof of anything but a reason to look closer.
struct Codecs {
  bool layers = false;
  bool models = false;
  std::string theirs{};
  std::string ours{};

  [[nodiscard]] bool may_differ(const image::Layer& layer) const {
    return (layer.purpose == image::Purpose::model ? models : layers) &&
           layer.blob->descriptor().digest != layer.diff_id; // a plain one has no codec
  }
};

Codecs other_codecs(const Provenance& provenance) {
  Codecs codecs;
  const auto add = [&](bool& differs, codec::Codec codec, const std::string& theirs) {
    const auto ours = codec::codec_version(codec);
    differs = codec != codec::Codec::none && theirs != ours;
    if (differs) {
      codecs.theirs = theirs;
      codecs.ours = ours;
    }
  };
  const auto& request = provenance.request;
  add(codecs.models, request.model_compression.codec, provenance.models_codec);
  add(codecs.layers, request.compression.codec, provenance.codec);
  return codecs;
}

/// A document without the digests and sizes of what it names.
oci::Manifest frame_of(oci::Manifest manifest) {
  for (auto& layer : manifest.layers) {
    layer.digest = oci::Digest::of("");
    layer.size_bytes = 0;
  }
  return manifest;
}
oci::Index frame_of(oci::Index index) {
  for (auto& manifest : index.manifests) {
    manifest.digest = oci::Digest::of("");
    manifest.size_bytes = 0;
  }
  return index;
}

/// Equal but for what a codec decides, and nothing beside it that a reader would pass over.
template <class Document>
bool same_frame(const oci::Sealed<Document>& expected, const oci::Sealed<Document>& rebuilt) {
  return frame_of(expected.value()) == frame_of(rebuilt.value()) &&
         oci::seal(expected.value()).bytes() == expected.bytes();
}

bool same_frames(const image::ImageSource& expected, const image::Index& rebuilt,
                 const std::vector<Pair>& pairs, const Codecs& codecs) {
  const bool is_index = expected.index().has_value();
  if (is_index &&
      (!same_frame(*expected.index(), rebuilt.document) || pairs.size() != rebuilt.images.size())) {
    return false;
  }
  return pairs.size() == expected.images().size() && expected.absent().empty() &&
         std::ranges::all_of(pairs, [&](const Pair& pair) {
           const auto& [stored, image] = pair;
           if (!same_frame(stored->manifest, image->manifest)) {
             return false; // the config's digest is in there: it names content by diff ID
           }
           for (std::size_t i = 0; i < image->layers.size(); ++i) {
             const auto& layer = image->layers[i];
             if (stored->layers[i].descriptor.digest != layer.blob->descriptor().digest &&
                 !codecs.may_differ(layer)) {
               return false;
             }
           }
           return true;
         });
}

/// Reads the layers that are stored in other bytes: a manifest may name any blob beside a config
/// that names the right content.
std::vector<LayerDifference> check_contents(const std::vector<Pair>& pairs, const Operation& op) {
  std::vector<LayerDifference> differences;
  std::set<std::pair<oci::Digest, oci::Digest>> right; // shared by platforms
  for (const auto& [stored, image] : pairs) {
    for (std::size_t i = 0; i < image->layers.size(); ++i) {
      const auto& layer = stored->layers[i];
      const auto& digest = layer.descriptor.digest;
      if (digest == image->layers[i].blob->descriptor().digest ||
          right.contains({digest, layer.diff_id})) {
        continue;
      }
      if (!layer.blob) {
        throw Error(
            ErrorCode::not_found,
            fmt::format("cannot read the layer {}: its blob is missing", digest.to_string()));
      }
      const auto content = codec::make_decompressor(
          layer.blob->open(), image::ReadLimits{}.tar.max_total_bytes, digest.to_string());
      const auto found = codec::sha256(*content, op);
      if (found == layer.diff_id) {
        right.emplace(digest, layer.diff_id);
        continue;
      }
      auto difference = difference_of(*stored, i);
      difference.expected = found;
      difference.rebuilt = image->layers[i].diff_id;
      differences.push_back(std::move(difference));
    }
  }
  return differences;
}

std::string and_more(std::size_t count) {
  return count > 1 ? fmt::format(", and {} more", count - 1) : std::string();
}

std::string describe_difference(const image::ImageSource& expected, const image::Index& rebuilt,
                                const std::vector<Pair>& pairs,
                                const std::vector<LayerDifference>& layers) {
  if (!layers.empty()) {
    const auto& first = layers.front();
    return fmt::format("the {} layer of {} is not what its provenance gives{}",
                       image::to_string(first.purpose), first.platform.to_string(),
                       and_more(layers.size()));
  }
  if (expected.index() && expected.images().size() != rebuilt.images.size()) {
    return fmt::format("it holds {} images, its provenance gives {}", expected.images().size(),
                       rebuilt.images.size());
  }
  if (pairs.size() != expected.images().size() || pairs.empty()) {
    return "it holds an image of a platform that its provenance does not give";
  }
  const bool same_configs = std::ranges::all_of(pairs, [](const Pair& pair) {
    return pair.first->config.descriptor().digest == pair.second->config.descriptor().digest;
  });
  return same_configs ? "its manifests are not what its provenance gives; the layers are"
                      : "its configs are not what its provenance gives; the layers are";
}

RebuildReport judge(const image::ImageSource& expected, const Composed& composed,
                    const Provenance& provenance, const Operation& op) {
  const auto& rebuilt = composed.index;
  const auto pairs = pairs_of(expected, rebuilt);
  const bool is_one_platform = !expected.index() && pairs.size() == 1;
  RebuildReport report{.expected = expected.descriptor().digest,
                       .rebuilt = is_one_platform
                                      ? pairs.front().second->manifest.descriptor().digest
                                      : rebuilt.digest()};
  const auto accept = [&](std::string reason) {
    report.layers = compare_model_layers(composed, provenance.model_layers);
    report.verified = report.layers.empty();
    report.reason = report.verified ? std::move(reason)
                                    : fmt::format("the model layer of {} is not the one that its "
                                                  "provenance names{}",
                                                  report.layers.front().platform.to_string(),
                                                  and_more(report.layers.size()));
  };
  if (report.expected == report.rebuilt) {
    accept("composed again from its provenance, bit for bit the same");
    return report;
  }
  for (const auto& [stored, image] : pairs) {
    std::ranges::move(compare_layers(*stored, *image), std::back_inserter(report.layers));
  }
  const auto codecs = other_codecs(provenance);
  if (report.layers.empty() && same_frames(expected, rebuilt, pairs, codecs)) {
    report.layers = check_contents(pairs, op);
    if (report.layers.empty()) {
      accept(fmt::format("composed again from its provenance, the same content; stored forms "
                         "differ, because {} compressed it, and {} does here",
                         codecs.theirs, codecs.ours));
      return report;
    }
    report.reason =
        fmt::format("the {} layer of {} does not hold what its config says{}",
                    image::to_string(report.layers.front().purpose),
                    report.layers.front().platform.to_string(), and_more(report.layers.size()));
    return report;
  }
  report.reason = describe_difference(expected, rebuilt, pairs, report.layers);
  return report;
}

} // namespace

RebuildReport rebuild(Context& context, const image::Location& location,
                      const RebuildRequest& request, const Operation& op) {
  const auto origin = transfer::open_origin(location, context.registry, op);
  const auto root = request.root ? *request.root : origin->resolve(op);
  const auto name = "the provenance of " + location.to_string();
  const auto statements = trust::trusted_statements(*origin, root, request.policy,
                                                    sign::predicate_type::slsa_provenance_v1, op);
  auto provenance = read_provenance(own_predicate(statements), name);
  const auto lock = read_lock(provenance.lock, name, mirrors_for({.mirror = request.mirror}));
  if (lock.images.empty() || lock.models.empty()) {
    throw FormatError(name, std::nullopt, "its lock pins nothing");
  }
  if (request.models.empty()) {
    check_pinned(lock, provenance, location);
  }
  place_base(provenance, lock, request, location);
  stdfs::create_directories(context.options.cache_dir);
  const io::TempDirectory directory(context.options.cache_dir); // it may get the weights
  const auto source = transfer::open_image(*origin, root, op);
  const auto wrong = place_inputs(provenance, lock, source, request, directory.path(), op);
  if (!wrong.empty()) {
    return refuse_inputs(source, wrong);
  }
  const auto plan = make_locked_plan(context, provenance.request, provenance.lock, name, op);
  std::vector<PlatformReport> reports;
  const auto composed = compose_index(context, plan, {}, Compositions::made_anew, reports, op);
  return judge(source, composed, provenance, op);
}

} // namespace aipack::build
