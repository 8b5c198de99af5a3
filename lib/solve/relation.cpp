#include "relation.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>

#include <fmt/core.h>

namespace aipack::solve {
namespace {

constexpr bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

constexpr bool is_alphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Names are lower case by Policy 5.6.1, but virtual ones such as perl's and R's API names are
// looser; '_' is tolerated by dpkg.
constexpr bool is_name_character(char c) noexcept {
  return is_alphanumeric(c) || c == '+' || c == '-' || c == '.' || c == '_';
}

constexpr bool is_version_character(char c) noexcept {
  return is_alphanumeric(c) || c == '.' || c == '+' || c == '-' || c == '~' || c == ':' || c == '_';
}

class Cursor {
public:
  explicit Cursor(std::string_view text) noexcept : text_(text) {}
  [[nodiscard]] bool at_end() const noexcept { return at_ == text_.size(); }
  [[nodiscard]] char peek() const noexcept { return at_end() ? '\0' : text_[at_]; }
  [[nodiscard]] std::size_t offset() const noexcept { return at_; }
  void skip_blanks() noexcept {
    while (!at_end() && is_blank(text_[at_])) {
      ++at_;
    }
  }
  bool accept(char c) noexcept {
    if (at_end() || text_[at_] != c) {
      return false;
    }
    ++at_;
    return true;
  }
  template <class Predicate>
  std::string_view take(Predicate predicate, std::size_t limit, std::string_view empty,
                        std::string_view too_long) {
    const std::size_t start = at_;
    while (!at_end() && predicate(text_[at_])) {
      ++at_;
    }
    if (at_ == start) {
      throw RelationError{start, empty};
    }
    if (at_ - start > limit) {
      throw RelationError{start, too_long};
    }
    return text_.substr(start, at_ - start);
  }
  [[nodiscard]] std::string_view since(std::size_t start) const noexcept {
    return text_.substr(start, at_ - start);
  }

private:
  std::string_view text_;
  std::size_t at_ = 0;
};

solv::Comparison read_comparison(Cursor& cursor) {
  if (cursor.accept('=')) {
    return solv::Comparison::equal;
  }
  // The single forms are the obsolete spellings of <= and >=, not of << and >> (deb-control(5)).
  if (cursor.accept('<')) {
    if (cursor.accept('<')) {
      return solv::Comparison::earlier;
    }
    cursor.accept('=');
    return solv::Comparison::earlier_equal;
  }
  if (cursor.accept('>')) {
    if (cursor.accept('>')) {
      return solv::Comparison::later;
    }
    cursor.accept('=');
    return solv::Comparison::later_equal;
  }
  throw RelationError{cursor.offset(), "a version relation must be one of <<, <=, =, >=, >>"};
}

Alternative read_alternative(Cursor& cursor) {
  Alternative alternative;
  alternative.name = cursor.take(is_name_character, max_name_bytes, "a package name is missing",
                                 "a package name is too long");
  if (cursor.accept(':')) {
    alternative.qualifier =
        cursor.take(is_name_character, max_name_bytes, "an architecture is missing after ':'",
                    "an architecture is too long");
  }
  cursor.skip_blanks();
  if (cursor.accept('(')) {
    cursor.skip_blanks();
    alternative.comparison = read_comparison(cursor);
    cursor.skip_blanks();
    alternative.version = cursor.take(is_version_character, max_version_bytes,
                                      "a version is missing", "a version is too long");
    cursor.skip_blanks();
    if (!cursor.accept(')')) {
      throw RelationError{cursor.offset(), "a version must end in ')'"};
    }
    cursor.skip_blanks();
  }
  return alternative;
}

} // namespace

void RelationList::parse(std::string_view text) {
  alternatives_.clear();
  groups_.clear();
  Cursor cursor(text);
  while (true) {
    cursor.skip_blanks();
    if (cursor.accept(',')) {
      continue;
    }
    if (cursor.at_end()) {
      return;
    }
    const std::size_t start = cursor.offset();
    const std::size_t first = alternatives_.size();
    do {
      cursor.skip_blanks();
      if (alternatives_.size() - first == max_alternatives) {
        throw RelationError{cursor.offset(), "too many alternatives in one relation"};
      }
      if (alternatives_.size() == max_relations) {
        throw RelationError{cursor.offset(), "too many relations in one field"};
      }
      alternatives_.push_back(read_alternative(cursor));
    } while (cursor.accept('|'));
    groups_.push_back({alternatives_.size(), trim(cursor.since(start))});
    if (!cursor.at_end() && cursor.peek() != ',') {
      throw RelationError{cursor.offset(), "relations must be separated by ',' or '|'"};
    }
  }
}

std::span<const Alternative> RelationList::group(std::size_t index) const noexcept {
  const std::size_t begin = index == 0 ? 0 : groups_[index - 1].end;
  return {alternatives_.data() + begin, groups_[index].end - begin};
}

std::string qualified_name(std::string_view name, std::string_view qualifier) {
  return fmt::format("{} :{}", name, qualifier);
}

solv::DependencyId dependency_of(const Alternative& alternative, std::string_view architecture,
                                 solv::Pool& pool) {
  const bool plain = alternative.qualifier.empty() || alternative.qualifier == "native" ||
                     alternative.qualifier == architecture;
  const solv::StringId name =
      plain ? pool.intern(alternative.name)
            : pool.intern(qualified_name(alternative.name, alternative.qualifier));
  return alternative.comparison == solv::Comparison::none
             ? name
             : pool.versioned(name, alternative.comparison, pool.intern(alternative.version));
}

solv::DependencyId dependency_of(std::span<const Alternative> group, std::string_view architecture,
                                 solv::Pool& pool) {
  // a | (b | c), as libsolv's own reader nests them; from the back, so that no depth of nesting is
  // a depth of calls.
  solv::DependencyId id = dependency_of(group.back(), architecture, pool);
  for (std::size_t i = group.size() - 1; i-- > 0;) {
    id = pool.either(dependency_of(group[i], architecture, pool), id);
  }
  return id;
}

std::string single_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool blank = is_blank(c);
    if (!blank || (!out.empty() && out.back() != ' ')) {
      out.push_back(blank ? ' ' : c);
    }
  }
  return out;
}

std::string canonical_request(std::string_view text) {
  std::string written(trim(text));
  // "name=version", as apt-get takes it: a '=' outside brackets.
  if (const std::size_t equals = written.find('=');
      equals != std::string::npos && written.find('(') == std::string::npos) {
    written = fmt::format("{} (= {})", trim(std::string_view(written).substr(0, equals)),
                          trim(std::string_view(written).substr(equals + 1)));
  }
  RelationList list;
  std::string_view cause = "one package, or alternatives of one, is expected";
  try {
    list.parse(written);
    if (list.size() == 1) {
      return std::string(list.text(0));
    }
  } catch (const RelationError& error) {
    cause = error.cause;
  }
  throw Error(ErrorCode::invalid_input,
              fmt::format("cannot request package {}: {}", quoted(text), cause))
      .with_hint("write it as in a Depends field: 'name', 'name=version', 'name (>= version)' or "
                 "'name | other'");
}

bool is_package_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= max_name_bytes &&
         std::all_of(text.begin(), text.end(), is_name_character);
}

std::string canonical_name(std::string_view text) {
  const std::string_view name = trim(text);
  if (!is_package_name(name)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot assume package {}: not a package name", quoted(text)));
  }
  return std::string(name);
}

} // namespace aipack::solve
