#include "aipack/trust/model_files.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

namespace aipack::trust {
namespace {

namespace stdfs = std::filesystem;

struct Found {
  std::string path; ///< relative
  stdfs::path file;
};

class Walk {
public:
  Walk(const ModelFileOptions& options, const Operation& op) : options_(options), op_(op) {}

  std::vector<Found> run(const stdfs::path& model) {
    std::error_code ignored; // visit() says what is wrong
    if (stdfs::is_directory(model, ignored)) {
      folder(model, {}, 0);
    } else {
      visit(model, ".", 0);
    }
    return std::move(found_);
  }

private:
  void folder(const stdfs::path& directory, const std::string& inside, unsigned depth) {
    if (depth > max_model_depth) {
      throw Error(
          ErrorCode::invalid_input,
          fmt::format("cannot read model folder {}: its folders are nested more than {} deep",
                      quoted(directory.string()), max_model_depth));
    }
    std::error_code failed;
    stdfs::directory_iterator entry(directory, failed);
    for (; !failed && entry != stdfs::directory_iterator(); entry.increment(failed)) {
      const auto name = entry->path().filename().string();
      const auto path = inside.empty() ? name : inside + "/" + name;
      if (std::ranges::find(options_.ignored_paths, path) == options_.ignored_paths.end()) {
        visit(entry->path(), path, depth);
      }
    }
    if (failed) {
      throw_errno(fmt::format("read model folder {}", quoted(directory.string())), failed.value());
    }
  }

  void visit(const stdfs::path& file, const std::string& path, unsigned depth) {
    op_.check();
    std::error_code failed;
    auto type = stdfs::symlink_status(file, failed).type();
    if (failed && type != stdfs::file_type::not_found) {
      throw_errno(fmt::format("read model file {}", quoted(file.string())), failed.value());
    }
    if (type == stdfs::file_type::symlink) {
      type = stdfs::status(file, failed).type();
      if (!options_.allow_symlinks || type != stdfs::file_type::regular) {
        throw Error(
            ErrorCode::invalid_input,
            fmt::format("cannot read model file {}: it is a symbolic link", quoted(file.string())))
            .with_hint("links to files are read with --allow-symlinks");
      }
    }
    switch (type) {
    case stdfs::file_type::directory:
      folder(file, path, depth + 1);
      return;
    case stdfs::file_type::regular:
      break;
    case stdfs::file_type::not_found:
      throw Error(ErrorCode::not_found,
                  fmt::format("cannot read model {}: it does not exist", quoted(file.string())));
    default:
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read model file {}: it is neither a file nor a folder",
                              quoted(file.string())));
    }
    if (found_.size() == max_model_files) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read the model: it has more than {} "
                              "files",
                              max_model_files));
    }
    found_.push_back({path, file});
  }

  const ModelFileOptions& options_;
  const Operation& op_;
  std::vector<Found> found_;
};

} // namespace

std::vector<std::string> default_ignored_paths() {
  return {std::string(model_signature_file), ".git", ".gitattributes", ".github", ".gitignore"};
}

std::vector<sign::ModelFile> hash_model(const stdfs::path& model, const ModelFileOptions& options,
                                        const Operation& op) {
  const auto found = Walk(options, op).run(model);
  const auto threads = options.concurrency != 0 ? options.concurrency : default_concurrency();
  auto files =
      map_each<sign::ModelFile>(found, threads, op, [](const Found& file, const Operation& inner) {
        const auto opened = std::make_shared<const io::File>(io::File::open(file.file));
        const auto identity = opened->identity();
        io::FileSource source(opened);
        sign::ModelFile result{file.path, codec::sha256(source, inner)};
        if (opened->identity() != identity) {
          throw Error(ErrorCode::io,
                      fmt::format("cannot read model file {}: it changed while it was being read",
                                  quoted(file.file.string())));
        }
        return result;
      });
  sign::sort_model_files(files);
  return files;
}

} // namespace aipack::trust
