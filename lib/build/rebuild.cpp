#include "rebuild.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/sign/statement.hpp"
#include "aipack/transfer/open_image.hpp"
#include "aipack/trust/verification.hpp"

#include "compose.hpp"
#include "planner.hpp"
#include "provenance.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace aipack::build {

namespace {

namespace stdfs = std::filesystem;

/// The user's files are read whole; larger ones than this are given again.
constexpr std::uint64_t max_user_file_bytes = std::uint64_t{1} << 30;

/// Takes models and the user's files out of an image, as they were before they went into it.
class Extraction {
public:
  Extraction(const image::StoredImage& image, const stdfs::path& directory, const Operation& op)
      : image_(image), directory_(directory), op_(op), files_(image::list_files(image, op)) {}

  /// A path that the planner reads as the locked model.
  stdfs::path model(const Lock::Model& locked, const std::string& models_directory, bool plain) {
    PlannedModel model{.name = locked.name, .files = {}, .digests = {}, .plain = plain};
    for (const auto& file : locked.files) {
      model.files.push_back({.path = file.path, .size_bytes = file.size_bytes});
    }
    const bool is_file = model.files.size() == 1;
    const auto folder = directory_ / "models";
    for (const auto& file : model.files) {
      const auto inside = fs::RootPath::parse(file.path).text();
      const auto place = is_file ? folder / inside : folder / model.name / inside;
      copy_content(model_path(models_directory, model, file), place);
    }
    return is_file ? folder / fs::RootPath::parse(model.files.front().path).text()
                   : folder / model.name;
  }

  /// A file or a folder at `target`, with links and whether files can be executed.
  stdfs::path user_files(const fs::RootPath& target, std::size_t number) {
    const auto place = directory_ / "files" / std::to_string(number);
    std::vector<std::pair<stdfs::path, std::string>> links;
    bool found = false;
    for (const auto& [path, file] : files_) {
      if (!path.is_within(target)) {
        continue;
      }
      found = true;
      const auto inside = path == target
                              ? std::string()
                              : path.text().substr(target.is_root() ? 0 : target.text().size() + 1);
      const auto to = inside.empty() ? place : place / inside;
      if (file.type == fs::FileType::symlink) {
        links.emplace_back(to, file.link_target);
      } else {
        restore(path, file, to);
      }
    }
    // Last, so that nothing is written through one.
    for (const auto& [to, text] : links) {
      stdfs::create_directories(to.parent_path());
      stdfs::create_symlink(text, to);
    }
    if (!found) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot repeat the build of {}: its {} is missing",
                              quoted(image_.name), quoted(target.to_string())));
    }
    return place;
  }

private:
  void restore(const fs::RootPath& path, const image::StoredFile& file, const stdfs::path& place) {
    op_.check();
    if (file.type == fs::FileType::directory) {
      stdfs::create_directories(place);
      return;
    }
    const auto content =
        image::find_file(image_, path, op_, {.max_file_bytes = max_user_file_bytes});
    io::write_file_atomically(place, io::as_bytes(content.value()), io::Durability::cached,
                              (file.mode & 0100U) != 0 ? 0755 : 0644);
  }

  /// Model files lie in plain layers: their bytes are where the listing says, and are judged by
  /// the digests of the lock.
  void copy_content(const fs::RootPath& path, const stdfs::path& place) {
    const auto found = files_.find(path);
    if (found == files_.end() || found->second.type != fs::FileType::regular) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot repeat the build of {}: its {} is missing",
                              quoted(image_.name), quoted(path.to_string())));
    }
    const auto& file = found->second;
    const auto& layer = image_.layers.at(file.layer);
    if (layer.blob == nullptr || layer.descriptor.digest != layer.diff_id) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot take model {} out of {}: its layer is not a plain one",
                              quoted(path.to_string()), quoted(image_.name)))
          .with_hint("give the model's files with --with-model");
    }
    stdfs::create_directories(place.parent_path());
    io::TempFile out(place.parent_path());
    const auto source = layer.blob->open(file.data_offset);
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    for (std::uint64_t rest = file.size; rest != 0;) {
      op_.check();
      const auto part = std::min<std::uint64_t>(rest, buffer.size());
      const auto got = source->read(std::span(buffer).first(static_cast<std::size_t>(part)));
      if (got == 0) {
        throw Error(ErrorCode::corrupt, fmt::format("cannot read {} of {}: its layer ends early",
                                                    quoted(path.to_string()), quoted(image_.name)));
      }
      out.write(std::span(buffer).first(got));
      rest -= got;
    }
    out.commit(place, io::TempFile::IfExists::replace, io::Durability::cached);
  }

  const image::StoredImage& image_;
  const stdfs::path& directory_;
  const Operation& op_;
  std::map<fs::RootPath, image::StoredFile> files_;
};

/// Fills in what a provenance does not say: where the files are.
void place_inputs(BuildRequest& request, const Lock& lock, const image::ImageSource& source,
                  const RebuildRequest& asked, const stdfs::path& directory, const Operation& op) {
  request.mirror = asked.mirror;
  request.models = asked.models;
  if (lock.models.size() == 1) {
    request.model_name = lock.models.front().name;
  }
  if (!request.models.empty() && request.files.empty()) {
    return;
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
          extraction.model(model, plain ? "/models" : plan.runtime.models_directory, plain));
    }
  }
  for (std::size_t i = 0; i < request.files.size(); ++i) {
    request.files[i].source = extraction.user_files(request.files[i].target, i);
  }
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

/// Whether every config agrees: it names content by diff ID, so that only stored forms can differ.
bool same_content(const image::ImageSource& expected, const image::Index& rebuilt) {
  return expected.images().size() == rebuilt.images.size() &&
         std::ranges::equal(expected.images(), rebuilt.images,
                            [](const image::StoredImage& a, const image::Image& b) {
                              return a.config.descriptor().digest == b.config.descriptor().digest;
                            });
}

RebuildReport judge(const image::ImageSource& expected, const image::Index& rebuilt,
                    const Provenance& provenance) {
  RebuildReport report{.expected = expected.descriptor().digest, .rebuilt = rebuilt.digest()};
  if (report.expected == report.rebuilt) {
    report.verified = true;
    report.reason = "composed again from its provenance, bit for bit the same";
    return report;
  }
  for (const auto& image : rebuilt.images) {
    const auto stored =
        std::ranges::find(expected.images(), image.platform, &image::StoredImage::platform);
    if (stored == expected.images().end()) {
      continue;
    }
    std::ranges::move(compare_layers(*stored, image), std::back_inserter(report.layers));
  }
  const auto codec = codec::codec_version(provenance.request.compression.codec);
  if (same_content(expected, rebuilt) && codec != provenance.codec) {
    report.verified = true;
    report.reason = fmt::format("composed again from its provenance, the same content; stored "
                                "forms differ, because {} compressed it, and {} does here",
                                provenance.codec, codec);
    return report;
  }
  if (!report.layers.empty()) {
    const auto& first = report.layers.front();
    report.reason = fmt::format(
        "the {} layer of {} is not what its provenance gives{}", image::to_string(first.purpose),
        first.platform.to_string(),
        report.layers.size() > 1 ? fmt::format(", and {} more", report.layers.size() - 1) : "");
  } else if (expected.images().size() != rebuilt.images.size()) {
    report.reason = fmt::format("it holds {} images, its provenance gives {}",
                                expected.images().size(), rebuilt.images.size());
  } else {
    report.reason = same_content(expected, rebuilt)
                        ? "its manifests are not what its provenance gives; the layers are"
                        : "its configs are not what its provenance gives; the layers are";
  }
  return report;
}

} // namespace

RebuildReport rebuild(Context& context, const image::Location& location,
                      const RebuildRequest& request, const Operation& op) {
  const auto origin = transfer::open_origin(location, context.registry, op);
  const auto root = origin->resolve(op);
  const auto name = "the provenance of " + location.to_string();
  const auto statements = trust::trusted_statements(*origin, root, request.policy,
                                                    sign::predicate_type::slsa_provenance_v1, op);
  auto provenance = read_provenance(statements.front().predicate, name);
  const auto lock = read_lock(provenance.lock, name, mirrors_for({.mirror = request.mirror}));
  if (lock.images.empty() || lock.models.empty()) {
    throw FormatError(name, std::nullopt, "its lock pins nothing");
  }
  stdfs::create_directories(context.options.cache_dir);
  const io::TempDirectory directory(context.options.cache_dir); // it may get the weights
  const auto source = transfer::open_image(*origin, root, op);
  place_inputs(provenance.request, lock, source, request, directory.path(), op);
  const auto plan = make_locked_plan(context, provenance.request, provenance.lock, name, op);
  std::vector<PlatformReport> reports;
  const auto composed = compose_index(context, plan, {}, Compositions::made_anew, reports, op);
  return judge(source, composed.index, provenance);
}

} // namespace aipack::build
