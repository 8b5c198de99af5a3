#include "expression.hpp"

#include "aipack/core/text.hpp"
#include "aipack/license/license.hpp"

#include "words.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

// SPDX 2.3, annex D "SPDX license expressions":
//
//   idstring            = 1*(ALPHA / DIGIT / "-" / "." )
//   license-ref         = ["DocumentRef-" idstring ":"] "LicenseRef-" idstring
//   simple-expression   = license-id / license-id "+" / license-ref
//   compound-expression = simple-expression / simple-expression "WITH" exception-id
//                       / compound "AND" compound / compound "OR" compound / "(" compound ")"
//
// WITH binds tighter than AND, AND tighter than OR. Identifiers match whatever their case;
// operators are taken in either case, as version 3 of SPDX has it. Other documents (DocumentRef)
// are refused: there is none to refer to.

namespace aipack::license {
namespace {

#include "spdx_list.inc"

template <std::size_t Size>
std::optional<std::string_view> find(const std::array<std::string_view, Size>& sorted,
                                     std::string_view name) noexcept {
  const auto less = [](std::string_view a, std::string_view b) {
    return std::ranges::lexicographical_compare(a, b, [](char x, char y) {
      const auto fold = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      };
      return fold(x) < fold(y);
    });
  };
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), name, less);
  return at != sorted.end() && !less(name, *at) ? std::optional(*at) : std::nullopt;
}

/// "GPL-2.0" and "GPL-2.0+" are deprecated spellings of "-only" and "-or-later" (SPDX licence list,
/// "Deprecated License Identifiers"); so are those of the other GNU licences.
std::string with_gnu_suffix(std::string_view id, bool or_later) {
  const std::string only = std::string(id) + (or_later ? "-or-later" : "-only");
  if (const auto known = spdx_id(only)) {
    return std::string(*known);
  }
  return std::string(id) + (or_later ? "+" : "");
}

class Parser {
public:
  explicit Parser(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
      if (std::isspace(static_cast<unsigned char>(text[at])) != 0) {
        ++at;
      } else if (text[at] == '(' || text[at] == ')') {
        tokens_.push_back(text.substr(at++, 1));
      } else {
        const auto end = std::min(text.find_first_of(" \t\r\n\v\f()", at), text.size());
        tokens_.push_back(text.substr(at, end - at));
        at = end;
      }
    }
  }

  std::optional<Expression> parse() {
    auto result = any(0);
    return result && at_ == tokens_.size() ? result : std::nullopt;
  }

private:
  bool take(std::string_view word) {
    if (at_ < tokens_.size() && lower_case(tokens_[at_]) == word) {
      ++at_;
      return true;
    }
    return false;
  }

  template <class Part>
  std::optional<Expression> list(Expression::Kind kind, std::string_view word, Part&& part) {
    std::vector<Expression> parts;
    do {
      auto next = part();
      if (!next) {
        return std::nullopt;
      }
      parts.push_back(std::move(*next));
    } while (take(word));
    return join(kind, std::move(parts));
  }

  std::optional<Expression> any(unsigned depth) {
    if (depth > max_expression_depth) {
      return std::nullopt;
    }
    return list(Expression::Kind::any, "or",
                [&] { return list(Expression::Kind::all, "and", [&] { return single(depth); }); });
  }

  std::optional<Expression> single(unsigned depth) {
    if (take("(")) {
      auto inner = any(depth + 1);
      return inner && take(")") ? inner : std::nullopt;
    }
    auto leaf = simple();
    if (!leaf) {
      return std::nullopt;
    }
    if (take("with")) {
      const auto exception =
          at_ < tokens_.size() ? spdx_exception(tokens_[at_++]) : std::optional<std::string_view>();
      if (!exception) {
        return std::nullopt;
      }
      *leaf += fmt::format(" WITH {}", *exception);
    }
    return Expression{.kind = Expression::Kind::leaf, .text = std::move(*leaf)};
  }

  std::optional<std::string> simple() {
    if (at_ == tokens_.size()) {
      return std::nullopt;
    }
    auto word = tokens_[at_++];
    constexpr std::string_view ref = "LicenseRef-";
    if (word.starts_with(ref)) {
      return is_id_string(word.substr(ref.size())) ? std::optional(std::string(word))
                                                   : std::nullopt;
    }
    const bool or_later = word.ends_with('+');
    if (or_later) {
      word.remove_suffix(1);
    }
    const auto id = spdx_id(word);
    return id ? std::optional(with_gnu_suffix(*id, or_later)) : std::nullopt;
  }

  std::vector<std::string_view> tokens_;
  std::size_t at_ = 0;
};

} // namespace

std::optional<std::string_view> spdx_id(std::string_view name) noexcept {
  return find(licenses, name);
}

std::optional<std::string_view> spdx_exception(std::string_view name) noexcept {
  return find(exceptions, name);
}

Expression join(Expression::Kind kind, std::vector<Expression> parts) {
  Expression joined{.kind = kind};
  const auto add = [&](Expression part) {
    if (std::ranges::find(joined.parts, part) == joined.parts.end()) {
      joined.parts.push_back(std::move(part));
    }
  };
  for (auto& part : parts) {
    if (part.kind == kind) {
      std::ranges::for_each(part.parts, add);
    } else {
      add(std::move(part));
    }
  }
  return joined.parts.size() == 1 ? std::move(joined.parts.front()) : joined;
}

std::string to_string(const Expression& expression) {
  if (expression.kind == Expression::Kind::leaf) {
    return expression.text;
  }
  std::string text;
  for (const auto& part : expression.parts) {
    text += text.empty() ? "" : expression.kind == Expression::Kind::all ? " AND " : " OR ";
    // AND binds tighter: an OR inside it needs brackets, the other way round does not.
    const bool bracket = part.kind == Expression::Kind::any;
    text += bracket ? "(" + to_string(part) + ")" : to_string(part);
  }
  return text;
}

std::optional<Expression> parse(std::string_view text) {
  if (text.size() > max_expression_bytes) {
    return std::nullopt;
  }
  return Parser(text).parse();
}

std::optional<std::string> try_parse_expression(std::string_view text) {
  const auto parsed = parse(text);
  return parsed ? std::optional(to_string(*parsed)) : std::nullopt;
}

} // namespace aipack::license
