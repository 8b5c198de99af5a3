#include "user_files.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include <algorithm>
#include <memory>
#include <set>

#include <fmt/format.h>

namespace aipack::build {

namespace {

namespace stdfs = std::filesystem;

const fs::Reason user_reason{.rule = "file", .detail = "given by the user", .from = {}};

rootfs::ExtraFile regular_file(const stdfs::path& source, const fs::RootPath& target,
                               std::int64_t epoch) {
  const auto file = io::File::open(source);
  const auto identity = file.identity();
  const bool executable =
      (stdfs::status(source).permissions() & stdfs::perms::owner_exec) != stdfs::perms::none;
  return {target,
          {.type = fs::FileType::regular,
           .mode = executable ? 0755U : 0644U,
           .mtime = epoch,
           .content = std::make_shared<fs::FileExtent>(source, 0, identity.size_bytes, identity),
           .reason = user_reason}};
}

rootfs::ExtraFile symbolic_link(const stdfs::path& source, const fs::RootPath& target,
                                const fs::RootPath& mapping_root, std::int64_t epoch) {
  const auto link = stdfs::read_symlink(source).string();
  if (link.empty() || link.front() == '/' || !target.resolve_link(link).is_within(mapping_root)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot add {}: it is a link out of the folder that was given",
                            quoted(source.string())));
  }
  return {target,
          {.type = fs::FileType::symlink,
           .mode = 0777,
           .mtime = epoch,
           .link_target = link,
           .reason = user_reason}};
}

void collect(const stdfs::path& source, const fs::RootPath& target,
             const fs::RootPath& mapping_root, std::int64_t epoch, const Operation& op,
             std::vector<rootfs::ExtraFile>& into) {
  op.check();
  if (into.size() >= max_user_files) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot add files: more than {}", max_user_files));
  }
  switch (const auto type = stdfs::symlink_status(source).type(); type) {
  case stdfs::file_type::regular:
    into.push_back(regular_file(source, target, epoch));
    return;
  case stdfs::file_type::symlink:
    into.push_back(symbolic_link(source, target, mapping_root, epoch));
    return;
  case stdfs::file_type::directory: {
    into.push_back(
        {target,
         {.type = fs::FileType::directory, .mode = 0755, .mtime = epoch, .reason = user_reason}});
    std::vector<stdfs::path> children;
    for (const auto& entry : stdfs::directory_iterator(source)) {
      children.push_back(entry.path());
    }
    std::ranges::sort(children);
    for (const auto& child : children) {
      collect(child, target / child.filename().string(), mapping_root, epoch, op, into);
    }
    return;
  }
  case stdfs::file_type::not_found:
    throw Error(ErrorCode::not_found,
                fmt::format("cannot add {}: it does not exist", quoted(source.string())));
  default:
    throw Error(
        ErrorCode::invalid_input,
        fmt::format("cannot add {}: neither a file, a folder nor a link", quoted(source.string())));
  }
}

} // namespace

std::vector<rootfs::ExtraFile> collect_user_files(const std::vector<FileMapping>& mappings,
                                                  std::int64_t epoch, const Operation& op) {
  std::vector<rootfs::ExtraFile> files;
  for (const auto& mapping : mappings) {
    // The mapping's own source may be a link: the user named it.
    std::error_code failed;
    const auto source = stdfs::canonical(mapping.source, failed);
    if (failed) {
      throw Error(
          ErrorCode::not_found,
          fmt::format("cannot add {}: {}", quoted(mapping.source.string()), failed.message()));
    }
    collect(source, mapping.target, mapping.target, epoch, op, files);
  }
  return files;
}

std::vector<PlannedFiles> plan_user_files(const std::vector<FileMapping>& mappings,
                                          const Operation& op) {
  std::vector<PlannedFiles> planned;
  std::set<fs::RootPath> later;
  // From the last to the first: a file is replaced by one that is added after it.
  for (auto mapping = mappings.rbegin(); mapping != mappings.rend(); ++mapping) {
    PlannedFiles files{.target = mapping->target, .entries = {}};
    for (const auto& [path, entry] : collect_user_files({*mapping}, 0, op)) {
      const bool is_directory = entry.type == fs::FileType::directory;
      if (!is_directory && !later.insert(path).second) {
        continue;
      }
      PlannedFile file{.path = path, .type = entry.type, .link_target = entry.link_target};
      if (entry.type == fs::FileType::regular) {
        const auto content = entry.content->open();
        file.mode = entry.mode;
        file.digest = codec::sha256(*content, op);
      }
      files.entries.push_back(std::move(file));
    }
    if (!files.entries.empty()) {
      planned.push_back(std::move(files));
    }
  }
  std::ranges::reverse(planned);
  return planned;
}

} // namespace aipack::build
