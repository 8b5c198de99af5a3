#pragma once

#include "aipack/core/export.hpp"
#include "aipack/deb/archive.hpp"

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace aipack::solve {

/// What must be in the root, in the words of a Depends field: "libonnxruntime1.21", "libc6
/// (>= 2.41)", "a | b".
struct Request {
  std::vector<std::string> install;
  /// Package names that count as fulfilled without being installed, because only maintainer scripts
  /// need them ("debconf", "openssl").
  std::vector<std::string> assume_installed{};
  bool operator==(const Request&) const = default;
};

/// One chosen package and what asked for it.
struct Choice {
  deb::Package package;
  std::string required_by{}; ///< package name; empty: the request itself
  std::string relation{};    ///< "libre2-11 (>= 20240702)" as the requirer wrote it
  bool operator==(const Choice&) const = default;
};

struct Solution {
  std::vector<Choice> choices; ///< sorted by package name
  /// Names from `assume_installed` that something depended on, with the requirer: recorded as
  /// dropped.
  std::vector<std::pair<std::string, std::string>> assumed{};
  bool operator==(const Solution&) const = default;
};

/// Why there is no solution, for people: at most ten lines, the root cause first.
struct Unsolvable {
  std::vector<std::string> explanation;
  bool operator==(const Unsolvable&) const = default;
};

using Outcome = std::variant<Solution, Unsolvable>;

struct Options {
  /// Where parsed indexes (`.solv`, by index digest) and answered requests (by index fingerprint
  /// and request) are kept; empty: nowhere.
  std::filesystem::path cache_dir{};
};

/// Whole Debian dependency semantics by libsolv: Depends, Pre-Depends, alternatives in order of
/// preference, Provides (versioned), Conflicts, Breaks, Multi-Arch; no Recommends; nothing
/// essential that is not asked for. The newest version wins across suites (security and updates
/// included); of equal ones the first source. The result is a pure function of the index content
/// and the request.
[[nodiscard]] AIPACK_API Outcome resolve(const deb::PackageIndex& index, const Request& request,
                                         const Options& options, const Operation& op);

} // namespace aipack::solve
