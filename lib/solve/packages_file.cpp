#include "packages_file.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "relation.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/core.h>

namespace aipack::solve {
namespace {

struct Field {
  std::string_view name; ///< lower case
  std::string_view PackageFields::*member;
};

constexpr std::array fields_read{
    Field{"package", &PackageFields::package},
    Field{"version", &PackageFields::version},
    Field{"architecture", &PackageFields::architecture},
    Field{"multi-arch", &PackageFields::multi_arch},
    Field{"pre-depends", &PackageFields::pre_depends},
    Field{"depends", &PackageFields::depends},
    Field{"provides", &PackageFields::provides},
    Field{"conflicts", &PackageFields::conflicts},
    Field{"breaks", &PackageFields::breaks},
    Field{"essential", &PackageFields::essential},
    Field{"priority", &PackageFields::priority},
    Field{"section", &PackageFields::section},
    Field{"installed-size", &PackageFields::installed_size},
    Field{"filename", &PackageFields::filename},
    Field{"size", &PackageFields::size},
    Field{"sha256", &PackageFields::sha256},
};

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// An index has a million lines; most names differ from all of ours in the first letter and the
// length.
const Field* find_field(std::string_view name) noexcept {
  const char first = lower(name.front());
  for (const Field& field : fields_read) {
    if (field.name.front() == first && field.name.size() == name.size() &&
        std::equal(name.begin(), name.end(), field.name.begin(),
                   [](char a, char b) { return lower(a) == b; })) {
      return &field;
    }
  }
  return nullptr;
}

std::size_t end_of_line(std::string_view text, std::size_t at) noexcept {
  const void* found = std::memchr(text.data() + at, '\n', text.size() - at);
  return found == nullptr ? text.size()
                          : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

bool has_control_character(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

} // namespace

void PackagesReader::fail(std::size_t offset, std::string_view cause) const {
  throw FormatError(name_, offset, cause);
}

bool PackagesReader::next(PackageFields& fields) {
  fields = {};
  while (at_ < text_.size() && text_[at_] == '\n') {
    ++at_;
  }
  if (at_ >= text_.size()) {
    return false;
  }
  start_ = at_;
  std::string_view* open = nullptr; // the field that a continuation line belongs to, if we read it
  bool any_field = false;
  while (at_ < text_.size() && text_[at_] != '\n') {
    const std::size_t line = at_;
    const std::size_t end = end_of_line(text_, line);
    at_ = end == text_.size() ? end : end + 1;
    if (at_ - start_ > max_paragraph_bytes) {
      fail(start_, "a paragraph is too long");
    }
    if (text_[line] == ' ' || text_[line] == '\t') {
      if (!any_field) {
        fail(line, "a paragraph begins with a continuation line");
      }
      if (open != nullptr) {
        *open = {open->data(), static_cast<std::size_t>(text_.data() + end - open->data())};
      }
      continue;
    }
    const void* found = std::memchr(text_.data() + line, ':', end - line);
    if (found == nullptr) {
      fail(line, "a line has no field name");
    }
    const auto colon = static_cast<std::size_t>(static_cast<const char*>(found) - text_.data());
    if (colon == line) {
      fail(line, "a field name is empty");
    }
    any_field = true;
    open = nullptr;
    if (const Field* field = find_field(text_.substr(line, colon - line))) {
      open = &(fields.*(field->member));
      if (open->data() != nullptr) {
        fail(line, "a field occurs twice");
      }
      *open = text_.substr(colon + 1, end - colon - 1);
    }
  }
  for (const Field& field : fields_read) {
    std::string_view& value = fields.*(field.member);
    if (value.data() != nullptr) {
      value = trim(value);
    }
  }
  const auto require = [&](std::string_view value, std::size_t limit, std::string_view cause) {
    if (value.empty() || value.size() > limit || has_control_character(value) ||
        value.find(' ') != std::string_view::npos) {
      fail(start_, cause);
    }
  };
  if (!is_package_name(fields.package)) {
    fail(start_, "a package has no proper name");
  }
  require(fields.version, max_version_bytes, "a package has no proper version");
  require(fields.architecture, max_name_bytes, "a package has no proper architecture");
  return true;
}

ParsedIndex parse_packages(std::string_view text, const std::string& name,
                           std::string_view architecture, solv::Pool& pool) {
  ParsedIndex parsed;
  RelationList list;
  std::vector<solv::DependencyId> requirements;
  std::vector<solv::DependencyId> provisions;
  std::vector<solv::DependencyId> conflicts;
  PackageFields fields;
  PackagesReader reader(text, name);
  pool.begin_range(name);
  while (reader.next(fields)) {
    if (parsed.offsets.size() == max_packages) {
      throw FormatError(name, reader.offset(), "too many packages");
    }
    const auto read = [&](std::string_view field, auto&& each) {
      if (field.empty()) {
        return;
      }
      try {
        list.parse(field);
      } catch (const RelationError& error) {
        throw FormatError(name, static_cast<std::size_t>(field.data() - text.data()) + error.offset,
                          error.cause);
      }
      for (std::size_t i = 0; i < list.size(); ++i) {
        each(list.group(i));
      }
    };
    const auto require = [&](std::span<const Alternative> group) {
      requirements.push_back(dependency_of(group, architecture, pool));
    };
    requirements.clear();
    read(fields.pre_depends, require);
    read(fields.depends, require);

    // "x:any" is fulfilled by packages that say so (Multi-Arch: allowed) under each name they
    // provide.
    const bool any_architecture = fields.multi_arch == "allowed";
    const solv::StringId own_name = pool.intern(fields.package);
    const solv::StringId version = pool.intern(fields.version);
    provisions.clear();
    const auto provide = [&](std::string_view provided, solv::Comparison comparison,
                             solv::StringId provided_version) {
      provisions.push_back(pool.versioned(pool.intern(provided), comparison, provided_version));
      if (any_architecture) {
        provisions.push_back(pool.versioned(pool.intern(qualified_name(provided, "any")),
                                            comparison, provided_version));
      }
    };
    read(fields.provides, [&](std::span<const Alternative> group) {
      const Alternative& provided = group.front();
      // Policy 7.1: only '=' may be used here; anything else provides nothing that a version could
      // be compared with.
      const bool versioned = provided.comparison == solv::Comparison::equal;
      provide(provided.name, versioned ? solv::Comparison::equal : solv::Comparison::none,
              versioned ? pool.intern(provided.version) : 0);
    });
    provide(fields.package, solv::Comparison::equal, version);

    // Conflicts hold for every architecture, whatever the qualifier.
    conflicts.clear();
    const auto conflict = [&](std::span<const Alternative> group) {
      for (Alternative each : group) {
        each.qualifier = {};
        conflicts.push_back(dependency_of(each, architecture, pool));
      }
    };
    read(fields.conflicts, conflict);
    read(fields.breaks, conflict);

    pool.add({.name = own_name,
              .version = version,
              .architecture = pool.intern(fields.architecture),
              .requirements = requirements,
              .provisions = provisions,
              .conflicts = conflicts});
    parsed.offsets.push_back(static_cast<std::uint32_t>(reader.offset()));
  }
  parsed.packages = pool.end_range();
  return parsed;
}

} // namespace aipack::solve
