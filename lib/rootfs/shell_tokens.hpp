#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace aipack::rootfs {

/// A token of a shell script.
struct ShellToken {
  enum class Kind { word, separator, redirection };
  Kind kind = Kind::word;
  std::string text;    ///< word: without quotes; separator: "\n", ";", ";;", "&", "&&", "||", "|",
                       ///< "(", ")"; redirection: ">", "<", …
  bool quoted = false; ///< was (partly) in quotes: no keyword
  std::vector<std::string> inner; ///< texts of $(…) and `…` in this word
};

/// Comments and here-documents are left out. Throws std::string (what is not understood).
struct ShellTokens {
  std::vector<ShellToken> tokens;
  std::string trouble;
};
[[nodiscard]] ShellTokens tokenize_shell(std::string_view text);

} // namespace aipack::rootfs
