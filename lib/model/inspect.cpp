#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/model/model.hpp"

#include "onnx_reader.hpp"
#include "other_formats.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <system_error>

#include <fmt/format.h>

namespace aipack::model {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_folder_entries = 100'000;
constexpr std::size_t names_in_a_message = 10;

bool is_onnx_name(const fs::path& path) {
  auto extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return extension == ".onnx";
}

/// The one model file of a folder.
fs::path model_in_folder(const fs::path& folder, const Operation& op) {
  std::vector<std::string> models;
  std::vector<std::string> others;
  std::uint64_t entries = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    op.check();
    if (++entries > max_folder_entries) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read folder {}: it has more than {} entries",
                              quoted(folder.string()), max_folder_entries))
          .with_hint("give the model file itself");
    }
    std::error_code ignored;
    if (it->is_regular_file(ignored)) {
      (is_onnx_name(it->path()) ? models : others).push_back(it->path().filename().string());
    }
  }
  if (error) {
    throw_errno(fmt::format("read folder {}", quoted(folder.string())), error.value());
  }
  std::ranges::sort(models);
  std::ranges::sort(others);
  const auto listed = [](const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < std::min(names.size(), names_in_a_message); ++i) {
      text += (i == 0 ? "" : ", ") + quoted(names[i]);
    }
    return names.size() > names_in_a_message
               ? fmt::format("{} and {} more", text, names.size() - names_in_a_message)
               : text;
  };
  if (models.empty()) {
    throw Error(
        ErrorCode::invalid_input,
        fmt::format("cannot find a model in folder {}: no file is named *.onnx{}",
                    quoted(folder.string()),
                    others.empty() ? std::string() : fmt::format(" (it holds {})", listed(others))))
        .with_hint("aipack serves ONNX models so far");
  }
  if (models.size() > 1) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot choose a model in folder {}: it holds {} of them ({})",
                            quoted(folder.string()), models.size(), listed(models)))
        .with_hint("name the file, or name several to serve them together");
  }
  return folder / models.front();
}

const ModelReader& reader_for(const ModelSource& source) {
  static const OnnxReader onnx;
  std::vector<std::byte> head(
      static_cast<std::size_t>(std::min<std::uint64_t>(source.bytes.size(), recognition_bytes)));
  if (!head.empty()) {
    source.bytes.read_at(0, head);
  }
  // Fixed magic before ONNX, whose protobuf has none and can look like many things.
  if (const auto other = recognise_other_format(head)) {
    throw Error(other->is_model ? ErrorCode::unsupported : ErrorCode::invalid_input,
                fmt::format("cannot read model {}: it is {}{}", quoted(source.name), other->what,
                            other->is_model ? ", a format that aipack does not serve yet" : ""))
        .with_hint(std::string(other->hint));
  }
  if (onnx.recognises(head)) {
    return onnx;
  }
  throw Error(
      ErrorCode::invalid_input,
      fmt::format("cannot read model {}: its format is not recognised", quoted(source.name)))
      .with_hint("aipack reads ONNX models; an interrupted download or a damaged file looks like "
                 "this too");
}

} // namespace

Model inspect(const ModelSource& source, const Operation& op, const Limits& limits) {
  op.check();
  auto model = reader_for(source).read(source, limits, op);
  return model;
}

Model inspect(const fs::path& path, const Operation& op, const Limits& limits) {
  std::error_code error;
  const auto status =
      fs::status(path, error); // follows links: the file that a person names may be one
  if (!fs::exists(status)) {
    throw Error(ErrorCode::not_found, fmt::format("cannot open {}: there is no such file or folder",
                                                  quoted(path.string())));
  }
  if (!fs::is_directory(status) && !fs::is_regular_file(status)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot read model {}: it is neither a file nor a folder",
                            quoted(path.string())));
  }
  const auto file_path = fs::is_directory(status) ? model_in_folder(path, op) : path;
  const auto file = std::make_shared<const io::File>(io::File::open(file_path));
  if (!file->is_regular()) {
    throw Error(
        ErrorCode::invalid_input,
        fmt::format("cannot read model {}: it is not a regular file", quoted(file_path.string())));
  }
  const auto identity = file->identity();
  const io::FileAccess bytes(file);
  // External data stands beside the name that was given, not beside what a symbolic link leads to.
  const auto directory = file_path.has_parent_path() ? file_path.parent_path() : fs::path(".");
  const auto file_name = file_path.filename().string();
  auto model = inspect(
      ModelSource{.bytes = bytes, .name = file_path.string(), .directory = directory}, op, limits);
  model.name = file_path.stem().string();
  std::erase_if(model.files, [&](const ModelFile& external) {
    return external.path == file_name;
  }); // a model may point into itself
  model.files.insert(model.files.begin(), ModelFile{.path = file_name,
                                                    .source = file_path,
                                                    .size_bytes = identity.size_bytes,
                                                    .identity = identity});
  return model;
}

} // namespace aipack::model
