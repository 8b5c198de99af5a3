#pragma once

#include "solv.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::solve {

inline constexpr std::size_t max_name_bytes = 256;    ///< the archive's longest name has 80
inline constexpr std::size_t max_version_bytes = 512; ///< of one version, as in a relation
inline constexpr std::size_t max_relations =
    16384; ///< in one field; the archive's longest field has about 1,300
inline constexpr std::size_t max_alternatives =
    1024; ///< of one relation: libsolv calls itself once for each

/// What is wrong with a relation, and where in the text.
struct RelationError {
  std::size_t offset = 0;
  std::string_view cause; ///< a literal
};

/// "name:qualifier (op version)", views into the text it was read from. Source: Debian
/// Policy 4.7, 7.1; deb-control(5).
struct Alternative {
  std::string_view name;
  std::string_view qualifier{}; ///< after ':', empty without
  solv::Comparison comparison = solv::Comparison::none;
  std::string_view version{};
};

/// All alternatives of a Depends-like field in one list, and where each group of alternatives ends.
/// Kept between fields: reading an index allocates nothing per package.
class RelationList {
public:
  /// Replaces the content by that of `text`. Empty groups ("a,,b", a trailing comma) are passed
  /// over as dpkg does. Throws RelationError.
  void parse(std::string_view text);

  [[nodiscard]] std::size_t size() const noexcept { return groups_.size(); }
  [[nodiscard]] std::span<const Alternative> group(std::size_t index) const noexcept;
  /// The group as written, white space around it taken off.
  [[nodiscard]] std::string_view text(std::size_t index) const noexcept {
    return groups_[index].text;
  }

private:
  struct Group {
    std::size_t end;
    std::string_view text;
  };
  std::vector<Alternative> alternatives_;
  std::vector<Group> groups_;
};

/// What the pool calls `name` with an architecture qualifier: no package has such a name, and
/// libsolv gives it no meaning of its own (some words with a colon are libsolv's).
[[nodiscard]] std::string qualified_name(std::string_view name, std::string_view qualifier);
[[nodiscard]] bool is_package_name(std::string_view text) noexcept;

/// The pool's id of one alternative. "name:any" becomes a name of its own, which only packages with
/// Multi-Arch: allowed provide; `architecture` and "native" as qualifiers mean nothing more than
/// the name, since no foreign architecture is ever installed.
[[nodiscard]] solv::DependencyId dependency_of(const Alternative& alternative,
                                               std::string_view architecture, solv::Pool& pool);
/// The pool's id of a group of alternatives.
[[nodiscard]] solv::DependencyId dependency_of(std::span<const Alternative> group,
                                               std::string_view architecture, solv::Pool& pool);

/// A relation for people: runs of white space, line breaks of the index included, become one space.
[[nodiscard]] std::string single_line(std::string_view text);

/// One line of a request: a group in Depends syntax, or "name=version". Gives the group in Depends
/// syntax. Throws Error{invalid_input}.
[[nodiscard]] std::string canonical_request(std::string_view text);
/// A bare package name. Throws Error{invalid_input}.
[[nodiscard]] std::string canonical_name(std::string_view text);

} // namespace aipack::solve
