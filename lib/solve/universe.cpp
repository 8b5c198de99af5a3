#include "universe.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/byte_stream.hpp"

#include "solv_file.hpp"

#include <algorithm>
#include <set>

#include <fmt/core.h>

namespace aipack::solve {
namespace {

std::string index_name(const deb::IndexFile& file) {
  return fmt::format("{} {}", file.source.suite, file.release_path);
}

// A path below the mirror: it becomes a part of a URL and of messages.
bool is_safe_filename(std::string_view filename) {
  if (filename.empty() || filename.front() == '/' || filename.size() > 1024) {
    return false;
  }
  for (const std::string_view part : split(filename, '/')) {
    if (part.empty() || part == "." || part == "..") {
      return false;
    }
  }
  return std::all_of(filename.begin(), filename.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/.+-_~:%=,@").find(c) != std::string_view::npos;
  });
}

} // namespace

std::string package_url(const deb::IndexFile& file, std::string_view filename) {
  return fmt::format("{}/{}", file.source.mirror, filename);
}

Universe::Universe(const deb::PackageIndex& index, const std::filesystem::path& cache_dir,
                   std::span<const std::string> assumed, const Operation& op)
    : architecture_(oci::architecture_names(index.platform).debian), pool_(architecture_) {
  loaded_.reserve(index.indexes.size());
  for (const deb::IndexFile& file : index.indexes) {
    op.check();
    Loaded loaded{&file, io::Mapping(file.file), {}};
    const std::string_view text = io::as_text(loaded.mapping.bytes());
    if (text.size() != file.size_bytes || text.size() > deb::max_index_bytes) {
      throw Error(
          ErrorCode::corrupt,
          fmt::format("cannot read package index {}: its size in the cache is {}, not {} bytes",
                      quoted(index_name(file)), text.size(), file.size_bytes));
    }
    const SolvFile cached(cache_dir, file.digest);
    if (auto parsed = cached.read(index_name(file), text.size(), pool_)) {
      loaded.parsed = std::move(*parsed);
    } else {
      loaded.parsed = parse_packages(text, index_name(file), architecture_, pool_);
      cached.write(loaded.parsed, pool_);
    }
    loaded_.push_back(std::move(loaded));
  }
  std::vector<solv::StringId> names;
  for (const std::string& name : assumed) {
    names.push_back(pool_.intern(name));
    names.push_back(pool_.intern(qualified_name(name, "any")));
  }
  pool_.drop_requirements(names);
  pool_.finish();
}

std::string_view Universe::text_of(const Loaded& loaded) const {
  return io::as_text(loaded.mapping.bytes());
}

std::string Universe::label(solv::PackageId package) const {
  return fmt::format("{} {}", name(package), pool_.version(package));
}

std::size_t Universe::index_of(solv::PackageId package) const {
  const auto found = std::find_if(loaded_.begin(), loaded_.end(), [package](const Loaded& loaded) {
    return package >= loaded.parsed.packages.first && package < loaded.parsed.packages.end;
  });
  return static_cast<std::size_t>(found - loaded_.begin());
}

PackageFields Universe::fields(solv::PackageId package) const {
  const Loaded& loaded = loaded_.at(index_of(package));
  const auto ordinal = static_cast<std::size_t>(package - loaded.parsed.packages.first);
  PackagesReader reader(text_of(loaded), index_name(*loaded.file),
                        loaded.parsed.offsets.at(ordinal));
  PackageFields fields;
  if (!reader.next(fields) || fields.package != pool_.text(pool_.name(package)) ||
      fields.version != pool_.version(package) ||
      fields.architecture != pool_.architecture(package)) {
    throw Error(
        ErrorCode::corrupt,
        fmt::format(
            "cannot read package {} in {}: the parsed form of the index does not belong to it",
            quoted(name(package)), quoted(index_name(*loaded.file))));
  }
  return fields;
}

std::vector<Requirement> Universe::parse_requirements(std::string_view field) {
  RelationList list;
  try {
    list.parse(field);
  } catch (const RelationError& error) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot read relation {}: {}", quoted(field), error.cause));
  }
  std::vector<Requirement> requirements(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto group = list.group(i);
    requirements[i].alternatives.assign(group.begin(), group.end());
    requirements[i].text = list.text(i);
    for (const Alternative& alternative : group) {
      requirements[i].ids.push_back(dependency_of(alternative, architecture_, pool_));
    }
  }
  return requirements;
}

std::vector<Requirement> Universe::requirements(solv::PackageId package) {
  const PackageFields paragraph = fields(package);
  std::vector<Requirement> all = parse_requirements(paragraph.pre_depends);
  std::vector<Requirement> depends = parse_requirements(paragraph.depends);
  all.insert(all.end(), std::make_move_iterator(depends.begin()),
             std::make_move_iterator(depends.end()));
  return all;
}

deb::Package Universe::pin(solv::PackageId package) const {
  const PackageFields paragraph = fields(package);
  const deb::IndexFile& file = index_file(package);
  const auto fail = [&](std::string_view cause) {
    return Error(ErrorCode::corrupt,
                 fmt::format("cannot read package {} in {}: {}", quoted(label(package)),
                             quoted(index_name(file)), cause));
  };
  const auto digest = oci::Digest::try_from_hex(paragraph.sha256);
  if (!digest) {
    throw fail("it has no SHA256");
  }
  const auto size = parse_decimal(paragraph.size);
  if (!size || *size > deb::max_package_bytes) {
    throw fail("it has no proper Size");
  }
  // Policy 5.6.20: in KiB; absent for a few very small packages.
  const auto installed = paragraph.installed_size.empty() ? std::optional<std::uint64_t>(0)
                                                          : parse_decimal(paragraph.installed_size);
  const auto installed_bytes = installed ? try_multiply(*installed, 1024) : std::nullopt;
  if (!installed_bytes) {
    throw fail("it has no proper Installed-Size");
  }
  if (!is_safe_filename(paragraph.filename)) {
    throw fail("it has no proper Filename");
  }
  return {.name = std::string(paragraph.package),
          .version = std::string(paragraph.version),
          .architecture = std::string(paragraph.architecture),
          .source_suite = file.source.suite,
          .url = package_url(file, paragraph.filename),
          .digest = *digest,
          .size_bytes = *size,
          .installed_bytes = *installed_bytes,
          .section = std::string(paragraph.section)};
}

std::string Universe::description() const {
  std::vector<std::string> suites;
  std::vector<std::string> components;
  const auto add = [](std::vector<std::string>& list, const std::string& item) {
    if (std::find(list.begin(), list.end(), item) == list.end()) {
      list.push_back(item);
    }
  };
  for (const Loaded& loaded : loaded_) {
    add(suites, loaded.file->source.suite);
    add(components, loaded.file->component);
  }
  const auto join = [](const std::vector<std::string>& list) {
    std::string text;
    for (const std::string& item : list) {
      text += (text.empty() ? "" : ", ") + item;
    }
    return text;
  };
  return fmt::format("{} {} for {}", join(suites), join(components), architecture_);
}

} // namespace aipack::solve
