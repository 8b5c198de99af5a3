#include "plain_model.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/fs/root_path.hpp"
#include "aipack/io/file.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::build {

namespace {

namespace stdfs = std::filesystem;

/// Version control says nothing about a model, and its objects would be shipped beside the weights.
constexpr std::string_view left_behind = ".git";

bool is_below(const stdfs::path& path, const stdfs::path& folder) {
  const auto [end, ignored] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

class Collector {
public:
  Collector(const stdfs::path& folder, const Operation& op)
      : folder_(folder), root_(stdfs::canonical(folder)), op_(op) {
    // A Hugging Face cache: models--ORG--NAME/snapshots/REVISION/FILE -> ../../blobs/DIGEST.
    if (root_.parent_path().filename() == "snapshots") {
      blobs_ = root_.parent_path().parent_path() / "blobs";
    }
  }

  std::vector<model::ModelFile> files;

  void collect(const stdfs::path& folder, unsigned depth = 0) {
    if (depth > max_plain_model_depth) {
      refuse(folder, fmt::format("its folders are nested deeper than {}", max_plain_model_depth));
    }
    std::error_code failed;
    for (stdfs::directory_iterator it(folder, failed), end; !failed && it != end;
         it.increment(failed)) {
      op_.check();
      const auto& path = it->path();
      if (it->is_symlink()) {
        add(path, linked_file(path));
      } else if (it->is_regular_file()) {
        add(path, path);
      } else if (!it->is_directory()) {
        refuse(path, "it is neither a file nor a folder");
      } else if (path.filename() != left_behind) {
        collect(path, depth + 1);
      }
    }
    if (failed) {
      throw_errno(fmt::format("read folder {}", quoted(folder.string())), failed.value());
    }
  }

private:
  [[noreturn]] static void refuse(const stdfs::path& path, std::string_view cause) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot add {} to the image: {}", quoted(path.string()), cause));
  }

  [[nodiscard]] stdfs::path linked_file(const stdfs::path& link) const {
    std::error_code failed;
    auto target = stdfs::canonical(link, failed);
    if (failed) {
      refuse(link, "it is a symbolic link that leads nowhere");
    }
    if (!is_below(target, root_) && (blobs_.empty() || !is_below(target, blobs_))) {
      refuse(link, "it is a symbolic link out of the model's folder");
    }
    if (!stdfs::is_regular_file(target)) {
      refuse(link, "it is a symbolic link to something that is no file");
    }
    return target;
  }

  void add(const stdfs::path& path, stdfs::path source) {
    if (files.size() >= max_plain_model_files) {
      refuse(root_, fmt::format("it holds more than {} files", max_plain_model_files));
    }
    auto name = path.lexically_relative(folder_).generic_string();
    const auto identity = io::File::open(source).identity();
    files.push_back({.path = std::move(name),
                     .source = std::move(source),
                     .size_bytes = identity.size_bytes,
                     .identity = identity});
  }

  stdfs::path folder_; ///< as it was given: where names begin
  stdfs::path root_;
  stdfs::path blobs_;
  const Operation& op_;
};

} // namespace

PlannedModel collect_plain_model(const stdfs::path& path, const Operation& op) {
  std::error_code failed;
  const auto status = stdfs::status(path, failed);
  if (!stdfs::exists(status)) {
    throw Error(ErrorCode::not_found, fmt::format("cannot open {}: there is no such file or folder",
                                                  quoted(path.string())));
  }
  PlannedModel model{.plain = true};
  // "models/digits/" and "." have no file name of their own.
  const auto named = stdfs::canonical(path);
  model.name = path.has_filename() && path.filename() != "." && path.filename() != ".."
                   ? path.filename().string()
                   : named.filename().string();
  if (stdfs::is_directory(status)) {
    Collector collector(path, op);
    collector.collect(path);
    model.files = std::move(collector.files);
    std::ranges::sort(model.files, {}, &model::ModelFile::path);
    if (model.files.empty()) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot add {} to the image: it is empty", quoted(path.string())));
    }
  } else if (stdfs::is_regular_file(status)) {
    const auto identity = io::File::open(path).identity();
    model.files.push_back({.path = path.filename().string(),
                           .source = path,
                           .size_bytes = identity.size_bytes,
                           .identity = identity});
  } else {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot add {} to the image: it is neither a file nor a folder",
                            quoted(path.string())));
  }
  return model;
}

} // namespace aipack::build
