#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::rootfs {

/// One simple command of a shell script.
struct ShellCommand {
  std::vector<std::string>
      words;        ///< without assignments, redirections and quotes; "$x" stays as it is written
  std::string text; ///< for people
  std::string writes_to; ///< target of an output redirection that is not /dev/null or a descriptor
  bool live = true; ///< false: in a branch that the first installation of a package never takes
};

/// As much of a POSIX shell script as classifying maintainer scripts takes. Not an interpreter:
/// nothing is expanded or run.
struct ShellScript {
  std::vector<ShellCommand> commands; ///< in order, those inside of $(…) and of functions included
  std::set<std::string> functions;    ///< defined names
  std::string trouble;                ///< what is not understood; empty: everything is
  bool changes_parameters = false;    ///< `shift` or `set -- …` outside of functions
};

inline constexpr std::size_t max_shell_bytes = std::size_t{1} << 20;
inline constexpr unsigned max_shell_depth = 32;

/// Reads `text` as the maintainer script `kind` ("postinst"): branches on "$1" and "$2" that a
/// first installation does not take are not live, unless they are a function's own or were changed.
/// Source: POSIX.1-2017 XCU 2; Debian Policy 6.5 for
/// the arguments.
[[nodiscard]] ShellScript parse_shell(std::string_view text, std::string_view kind);

} // namespace aipack::rootfs
