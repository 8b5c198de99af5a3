#include "extraction.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/temp_file.hpp"

#include "composer.hpp"

#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace aipack::build {

namespace {

namespace stdfs = std::filesystem;

constexpr std::uint32_t model_mode = 0644;

void make_folders(const stdfs::path& path) {
  std::error_code failed;
  stdfs::create_directories(path, failed);
  if (failed) {
    throw_errno(fmt::format("create folder {}", quoted(path.string())), failed.value());
  }
}

bool has_content(const image::StoredFile& file) {
  return file.type == fs::FileType::regular || file.type == fs::FileType::hard_link;
}

} // namespace

Extraction::Extraction(const image::StoredImage& image, stdfs::path directory, const Operation& op)
    : image_(image), directory_(std::move(directory)), op_(op),
      files_(image::list_files(image, op)) {
  for (const auto& [path, file] : files_) {
    tree_.put(path,
              {.type = has_content(file) ? fs::FileType::regular : file.type,
               .link_target = file.type == fs::FileType::symlink ? file.link_target : std::string(),
               .reason = {}});
  }
}

stdfs::path Extraction::want_model(const Lock::Model& locked, const std::string& models_directory,
                                   bool plain) {
  PlannedModel model{.name = locked.name, .files = {}, .digests = {}, .plain = plain};
  for (const auto& file : locked.files) {
    model.files.push_back({.path = file.path, .source = {}, .size_bytes = file.size_bytes});
  }
  // Each model in a folder of its own. One that aipack read is found by its main file, the first;
  // the name of a plain one is that of its file or folder.
  const auto folder = directory_ / std::to_string(inputs_++);
  const bool is_folder =
      plain && !(model.files.size() == 1 && model.files.front().path == model.name);
  const auto root = is_folder ? folder / model.name : folder;
  for (std::size_t i = 0; i < model.files.size(); ++i) {
    const auto path = model_path(models_directory, model, model.files[i]);
    const auto what = fmt::format("model file {}", quoted(path.to_string()));
    want({what, root / fs::RootPath::parse(model.files[i].path).text(), locked.files[i].digest,
          model_mode},
         path, model.files[i].size_bytes);
  }
  return is_folder ? root : root / fs::RootPath::parse(model.files.front().path).text();
}

stdfs::path Extraction::want_files(const PlannedFiles& files) {
  const auto root = directory_ / std::to_string(inputs_++);
  const auto prefix = files.target.is_root() ? 0 : files.target.text().size() + 1;
  for (const auto& file : files.entries) {
    const auto place = file.path == files.target ? root : root / file.path.text().substr(prefix);
    switch (file.type) {
    case fs::FileType::directory:
      make_folders(place);
      break;
    case fs::FileType::symlink:
      want_link(file, place);
      break;
    case fs::FileType::regular:
    case fs::FileType::hard_link:
      want({fmt::format("file {}", quoted(file.path.to_string())), place, file.digest.value(),
            file.mode},
           file.path, std::nullopt);
      break;
    }
  }
  return root;
}

const image::StoredFile* Extraction::find(const fs::RootPath& path) const {
  // On a base image a file stands where it was asked for, whatever links the base has there.
  auto found = files_.find(path);
  if (found == files_.end()) {
    if (const auto real = tree_.resolve_parent(path)) {
      found = files_.find(*real);
    }
  }
  return found == files_.end() ? nullptr : &found->second;
}

void Extraction::fail(std::string what, std::string fault, const image::StoredFile* file) {
  wrong_.push_back({std::move(what), std::move(fault),
                    file == nullptr ? std::nullopt : std::optional(file->layer)});
}

void Extraction::want(Wanted wanted, const fs::RootPath& path,
                      std::optional<std::uint64_t> size_bytes) {
  const auto* const file = find(path);
  if (file == nullptr) {
    return fail(std::move(wanted.what), "is missing", file);
  }
  if (!has_content(*file)) {
    return fail(std::move(wanted.what), "is no file in it", file);
  }
  if (file->mode != wanted.mode) {
    return fail(std::move(wanted.what),
                fmt::format("has the mode {:04o} in it, not {:04o}", file->mode, wanted.mode),
                file);
  }
  if (size_bytes && *size_bytes != file->size) {
    return fail(std::move(wanted.what),
                fmt::format("has {} bytes in it, not {}", file->size, *size_bytes), file);
  }
  wanted_.push_back(std::move(wanted));
  sources_.push_back(*file);
}

void Extraction::want_link(const PlannedFile& link, const stdfs::path& place) {
  auto what = fmt::format("link {}", quoted(link.path.to_string()));
  const auto* const file = find(link.path);
  if (file == nullptr) {
    return fail(std::move(what), "is missing", file);
  }
  if (file->type != fs::FileType::symlink || file->link_target != link.link_target) {
    return fail(std::move(what), fmt::format("does not lead to {} in it", quoted(link.link_target)),
                file);
  }
  links_.emplace_back(place, link.link_target);
}

void Extraction::write(const std::vector<std::size_t>& which, io::ByteSource& content) {
  const auto& first = wanted_[which.front()];
  make_folders(first.place.parent_path());
  io::TempFile out(first.place.parent_path());
  codec::HashingSink hashing(out);
  io::copy(content, hashing, op_);
  out.commit(first.place, io::TempFile::IfExists::replace, io::Durability::cached, first.mode);
  for (const auto number : which) {
    const auto& other = wanted_[number];
    if (other.digest && other.digest != hashing.digest()) {
      fail(other.what, fmt::format("has the digest {} in it", hashing.digest().to_string()),
           &sources_[number]);
    } else if (other.place != first.place) {
      make_folders(other.place.parent_path());
      io::FileSource again(first.place);
      io::TempFile copy(other.place.parent_path());
      io::copy(again, copy, op_);
      copy.commit(other.place, io::TempFile::IfExists::replace, io::Durability::cached, other.mode);
    }
  }
}

std::vector<WrongInput> Extraction::take() {
  image::read_contents(
      image_, sources_,
      [&](const std::vector<std::size_t>& which, io::ByteSource& content) {
        write(which, content);
      },
      op_);
  // Last, so that nothing is written through one.
  for (const auto& [place, target] : links_) {
    make_folders(place.parent_path());
    std::error_code failed;
    stdfs::create_symlink(target, place, failed);
    if (failed) {
      throw_errno(fmt::format("create link {}", quoted(place.string())), failed.value());
    }
  }
  return std::move(wrong_);
}

} // namespace aipack::build
