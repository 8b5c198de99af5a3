#include "models.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include <fmt/format.h>

namespace aipack::sbom {
namespace {

constexpr std::string_view usual_directory = "models";
constexpr std::string_view onnx_extension = ".onnx";

bool is_onnx_name(const fs::RootPath& path) {
  return path.filename().ends_with(onnx_extension);
}

class TextAccess final : public io::RandomAccess {
public:
  explicit TextAccess(std::shared_ptr<const std::string> text) : text_(std::move(text)) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return text_->size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    if (offset > text_->size() || into.size() > text_->size() - offset) {
      throw Error(ErrorCode::corrupt, "cannot read a model: it ends early");
    }
    if (!into.empty()) {
      std::memcpy(into.data(), text_->data() + offset, into.size());
    }
  }

private:
  std::shared_ptr<const std::string> text_;
};

fs::RootPath path_of(const FoundModelFile& found) {
  return fs::RootPath::parse(found.file.path);
}

/// The folder that holds the models: "/models", or else the deepest that holds all of their files.
fs::RootPath models_directory(const std::vector<FoundModelFile>& files) {
  auto directory = fs::RootPath::parse(usual_directory);
  const auto holds_all = [&] {
    return std::ranges::all_of(
        files, [&](const auto& file) { return path_of(file).is_within(directory); });
  };
  if (!files.empty() && !holds_all()) {
    directory = path_of(files.front()).parent();
    while (!directory.is_root() && !holds_all()) {
      directory = directory.parent();
    }
  }
  return directory;
}

/// A model is served under the first part of its path; that of a file is without ".onnx".
std::string model_name(const fs::RootPath& path, const fs::RootPath& directory) {
  const auto whole = path.text();
  const auto below = directory.is_root() ? whole : whole.substr(directory.text().size() + 1);
  auto name = std::string(below.substr(0, below.find('/')));
  if (name.size() == below.size() && name.ends_with(onnx_extension)) {
    name.resize(name.size() - onnx_extension.size());
  }
  return name;
}

/// What the model says of itself; empty when aipack does not read it.
std::optional<model::Model> read_facts(const FoundModelFile& found, const Operation& op) {
  std::unique_ptr<io::RandomAccess> bytes;
  if (found.content) {
    bytes = std::make_unique<TextAccess>(found.content);
  } else {
    bytes = std::make_unique<FileInLayer>(found.layer, found.file.offset, found.file.size_bytes);
  }
  try {
    auto facts = model::inspect(
        model::ModelSource{.bytes = *bytes, .name = found.file.path, .directory = {}}, op);
    // Its external data is beside it in the image, where this reader does not look.
    std::erase_if(facts.findings,
                  [](const auto& finding) { return finding.rule.starts_with("ONNX-EXT-"); });
    facts.files.clear();
    return facts;
  } catch (const Error& error) {
    // Another format, or a file that only looks like a model: there are no facts then.
    if (error.code() == ErrorCode::unsupported || error.code() == ErrorCode::invalid_input ||
        error.code() == ErrorCode::corrupt) {
      return std::nullopt;
    }
    throw;
  }
}

Model make_model(std::string name, std::vector<const FoundModelFile*> files, const Operation& op) {
  Model model{.name = std::move(name), .license = {}, .files = {}};
  const auto main = [&](const FoundModelFile* found) {
    return path_of(*found).filename() == model.name + std::string(onnx_extension);
  };
  std::stable_partition(files.begin(), files.end(), main);
  for (const auto* found : files) {
    model.files.push_back(found->file);
  }
  const auto readable = std::ranges::find_if(
      files, [](const FoundModelFile* found) { return is_onnx_name(path_of(*found)); });
  if (readable != files.end()) {
    model.facts = read_facts(**readable, op);
  }
  if (model.facts) {
    model.license = license::from_words(model.facts->license);
  }
  return model;
}

} // namespace

std::vector<FoundModelFile> find_model_files(const image::StoredImage& image,
                                             const image::StoredLayer& layer,
                                             const image::ReadLimits& limits, const Operation& op) {
  std::vector<FoundModelFile> found;
  if (layer.descriptor.size_bytes <= max_hashed_bytes) {
    const auto wants = [](const archive::TarMember& member) { return is_onnx_name(member.path); };
    for (auto& entry : read_layer(layer, wants, limits, op)) {
      if (entry.member.type != fs::FileType::regular) {
        continue;
      }
      found.push_back({.file = {.path = entry.member.path.to_string(),
                                .size_bytes = entry.member.size,
                                .layer = layer.descriptor.digest,
                                .offset = entry.member.data_offset,
                                .checksums = entry.checksums},
                       .layer = layer.blob});
      if (is_onnx_name(entry.member.path)) {
        found.back().content = std::make_shared<const std::string>(std::move(entry.content));
      }
    }
    return found;
  }
  const image::StoredImage alone{image.name, image.platform, image.manifest, image.config, {layer}};
  for (const auto& [path, file] : image::list_files(alone, op, limits)) {
    if (file.type == fs::FileType::regular) {
      found.push_back({.file = {.path = path.to_string(),
                                .size_bytes = file.size,
                                .layer = layer.descriptor.digest,
                                .offset = file.data_offset},
                       .layer = layer.blob});
    }
  }
  return found;
}

std::vector<Model> make_models(const std::vector<FoundModelFile>& files, const Operation& op) {
  const auto directory = models_directory(files);
  std::map<std::string, std::vector<const FoundModelFile*>> by_name;
  for (const auto& found : files) {
    by_name[model_name(path_of(found), directory)].push_back(&found);
  }
  std::vector<Model> models;
  for (auto& entry : by_name) {
    const auto& name = entry.first;
    auto& members = entry.second;
    std::ranges::sort(members, {}, [](const FoundModelFile* found) { return found->file.path; });
    models.push_back(
        with_context([&] { return make_model(name, std::move(members), op); },
                     fmt::format("while reading model {} of the image", quoted(name))));
  }
  return models;
}

} // namespace aipack::sbom
