#include "model.hpp"

#include "error.hpp"
#include "text.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace aipack::serve {
namespace {

namespace fs = std::filesystem;

inline constexpr std::size_t max_models = 1024;

[[nodiscard]] bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

void collect(const fs::path& folder, bool descend, std::vector<ModelFile>& found) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) {
    throw StartupError(ExitCode::io,
                       "cannot read folder " + quote(folder.string()) + ": " + error.message());
  }
  for (const fs::directory_entry& entry : entries) {
    if (is_hidden(entry.path())) {
      continue; // also the ..data folders of mounted Kubernetes volumes, whose files are linked
                // from above
    }
    if (descend && entry.is_directory(error)) {
      collect(entry.path(), false, found);
    } else if (entry.path().extension() == ".onnx" && entry.is_regular_file(error)) {
      found.push_back({entry.path().stem().string(), entry.path().string()});
    }
    if (found.size() > max_models) {
      throw StartupError(ExitCode::invalid_input, "cannot read folder " + quote(folder.string()) +
                                                      ": more than " + std::to_string(max_models) +
                                                      " models");
    }
  }
}

} // namespace

std::vector<ModelFile> find_models(const std::string& models, const std::string& model_name) {
  std::vector<ModelFile> found;
  std::error_code error;
  const fs::path path(models);
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) {
    collect(path, true, found);
  } else if (fs::exists(status)) {
    found.push_back({path.stem().string(), path.string()});
  } else {
    throw StartupError(ExitCode::not_found,
                       "cannot read models: " + quote(models) + " does not exist",
                       "mount a folder with *.onnx files there, or say --models");
  }
  if (found.empty()) {
    throw StartupError(ExitCode::not_found,
                       "cannot read models: no *.onnx file in " + quote(models),
                       "put the model there or one folder below");
  }
  if (!model_name.empty()) {
    if (found.size() != 1) {
      throw StartupError(ExitCode::invalid_input,
                         "cannot name the model " + quote(model_name) + ": there are " +
                             std::to_string(found.size()),
                         "--model-name is for exactly one model");
    }
    found.front().name = model_name;
  }
  std::ranges::sort(found, {},
                    [](const ModelFile& file) { return std::pair(file.name, file.path); });
  const auto twin = std::ranges::adjacent_find(found, {}, &ModelFile::name);
  if (twin != found.end()) {
    throw StartupError(ExitCode::invalid_input,
                       "cannot name the models: " + quote(twin->path) + " and " +
                           quote(std::next(twin)->path) + " are both " + quote(twin->name),
                       "a model is named after its file; rename one");
  }
  for (const ModelFile& file : found) {
    if (file.name.find('/') != std::string::npos ||
        find_invalid_utf8(file.name) != std::string::npos) {
      throw StartupError(ExitCode::invalid_input, "cannot name the model " + quote(file.name) +
                                                      ": a name is UTF-8 without '/'");
    }
  }
  return found;
}

} // namespace aipack::serve
