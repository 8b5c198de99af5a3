#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::license {

/// An SPDX licence expression: a leaf, or two or more parts under one operator, never the parent's
/// own operator, each part once.
struct Expression {
  enum class Kind { leaf, all, any };
  Kind kind = Kind::leaf;
  std::string text{}; ///< of a leaf: "GPL-2.0-or-later WITH Autoconf-exception-2.0"
  std::vector<Expression> parts{};
  bool operator==(const Expression&) const = default;
};

/// Puts `part` under the operator `kind`: flat, without repetition. One part alone is itself.
[[nodiscard]] Expression join(Expression::Kind kind, std::vector<Expression> parts);
[[nodiscard]] std::string to_string(const Expression& expression);
[[nodiscard]] std::optional<Expression> parse(std::string_view text);

} // namespace aipack::license
