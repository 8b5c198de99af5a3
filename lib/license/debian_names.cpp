#include "debian_names.hpp"

#include "aipack/core/text.hpp"
#include "aipack/license/license.hpp"

#include "words.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace aipack::license {
namespace {

struct Pair {
  std::string_view debian; ///< lower case
  std::string_view spdx;
};

// copyright-format 1.0, "Short name", where it differs from SPDX's, and names that its users made
// for the same texts.
constexpr std::array<Pair, 39> names{{
    {"apache", "Apache-2.0"},
    {"apache-2-llvm-exceptions", "Apache-2.0 WITH LLVM-exception"},
    {"apache-2.0-with-llvm-exceptions", "Apache-2.0 WITH LLVM-exception"},
    {"artistic", "Artistic-1.0-Perl"},
    {"artistic-1", "Artistic-1.0-Perl"},
    {"boost", "BSL-1.0"},
    {"boost-1.0", "BSL-1.0"},
    {"bsd-2-clauses", "BSD-2-Clause"},
    {"bsd-3-clauses", "BSD-3-Clause"},
    {"bsd-4-clauses", "BSD-4-Clause"},
    {"bsd-2", "BSD-2-Clause"},
    {"bsd-3", "BSD-3-Clause"},
    {"bsd-4", "BSD-4-Clause"},
    {"bsd2", "BSD-2-Clause"},
    {"bsd3", "BSD-3-Clause"},
    {"cc0", "CC0-1.0"},
    {"expat", "MIT"},
    {"expat-license", "MIT"},
    {"freetype", "FTL"},
    {"fsf-permissive", "FSFAP"},
    {"fsf-unlimited", "FSFUL"},
    {"gpl", "GPL-1.0-or-later"},
    {"gpl+", "GPL-1.0-or-later"},
    {"hpnd-sell-variant", "HPND-sell-variant"},
    {"lgpl", "LGPL-2.0-or-later"},
    {"lgpl+", "LGPL-2.0-or-later"},
    {"openldap-2.8", "OLDAP-2.8"},
    {"perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"},
    {"psf", "PSF-2.0"},
    {"psf-2", "PSF-2.0"},
    {"python", "Python-2.0"},
    {"sil-1.1", "OFL-1.1"},
    {"sleepycat", "Sleepycat"},
    {"unicode-dfs", "Unicode-DFS-2016"},
    {"vim", "Vim"},
    {"w3c-software", "W3C"},
    {"x11", "X11"},
    {"zlib/libpng", "zlib-acknowledgement"},
    {"zpl", "ZPL-2.1"},
}};

// The words before "exception" in "GPL-2+ with Autoconf exception".
constexpr std::array<Pair, 16> exceptions{{
    {"autoconf", "Autoconf-exception-generic"},
    {"autoconf-2.0", "Autoconf-exception-2.0"},
    {"autoconf-3.0", "Autoconf-exception-3.0"},
    {"autoconf-macro", "Autoconf-exception-macro"},
    {"autoconf-data", "Autoconf-exception-generic"},
    {"bison", "Bison-exception-2.2"},
    {"bison-2.2", "Bison-exception-2.2"},
    {"classpath", "Classpath-exception-2.0"},
    {"font", "Font-exception-2.0"},
    {"gcc", "GCC-exception-3.1"},
    {"gcc-3.1", "GCC-exception-3.1"},
    {"gcc-runtime-library", "GCC-exception-3.1"},
    {"libtool", "Libtool-exception"},
    {"linux-syscall-note", "Linux-syscall-note"},
    {"llvm", "LLVM-exception"},
    {"swift", "Swift-exception"},
}};

template <std::size_t Size>
std::optional<std::string_view> find(const std::array<Pair, Size>& table, std::string_view name) {
  const auto found = std::ranges::find(table, name, &Pair::debian);
  return found == table.end() ? std::nullopt : std::optional(found->spdx);
}

/// "gpl-2", "lgpl-2.1", "gfdl-niv-1.3": the family, and a version of one or two numbers.
std::string gnu_license(std::string_view name, std::string_view suffix) {
  const auto dash = name.rfind('-');
  if (dash == std::string_view::npos) {
    return {};
  }
  auto family = name.substr(0, dash);
  auto version = name.substr(dash + 1);
  if (version.starts_with('v')) {
    version.remove_prefix(1);
  }
  std::string_view invariants;
  if (family == "gfdl-niv") {
    family = "gfdl";
    invariants = "-no-invariants";
  }
  constexpr std::array<std::string_view, 4> families{"gpl", "lgpl", "agpl", "gfdl"};
  if (std::ranges::find(families, family) == families.end()) {
    return {};
  }
  const std::string_view minor = version.find('.') == std::string_view::npos ? ".0" : "";
  const auto id = spdx_id(fmt::format("{}-{}{}{}{}", family, version, minor, invariants, suffix));
  return id ? std::string(*id) : std::string();
}

std::string spdx_of_plain(std::string_view name, bool or_later) {
  if (const auto gnu = gnu_license(name, or_later ? "-or-later" : "-only"); !gnu.empty()) {
    return gnu;
  }
  if (const auto known = find(names, name); known && !or_later) {
    return std::string(*known);
  }
  for (const std::string_view minor : {"", ".0"}) {
    if (const auto id = spdx_id(fmt::format("{}{}", name, minor))) {
      return std::string(*id) + (or_later ? "+" : "");
    }
  }
  return {};
}

std::optional<std::string_view> exception_of(std::string_view words) {
  std::string phrase = lower_case(words);
  std::ranges::replace(phrase, ' ', '-');
  if (const auto id = spdx_exception(phrase)) {
    return id;
  }
  for (const std::string_view ending : {"-exceptions", "-exception"}) {
    if (phrase.ends_with(ending)) {
      phrase.resize(phrase.size() - ending.size());
    }
  }
  return find(exceptions, phrase);
}

using Words = std::vector<std::string_view>;

std::string phrase_of(const Words& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

/// One licence: a short name, maybe "with" an exception.
Expression single(const Words& words, const UnknownLicense& unknown) {
  const auto with =
      std::ranges::find_if(words, [](auto word) { return lower_case(word) == "with"; });
  const std::string name = phrase_of(Words(words.begin(), with));
  const auto whole = phrase_of(words);
  if (name.find(' ') != std::string::npos) {
    return unknown(whole);
  }
  const auto base = spdx_of_debian_name(name);
  auto parsed = base.empty() ? std::nullopt : parse(base);
  if (!parsed) {
    return unknown(whole);
  }
  if (with == words.end()) {
    return std::move(*parsed);
  }
  const auto exception = exception_of(phrase_of(Words(std::next(with), words.end())));
  if (!exception || parsed->kind != Expression::Kind::leaf) {
    return unknown(whole);
  }
  parsed->text += fmt::format(" WITH {}", *exception);
  return std::move(*parsed);
}

Words words_of(std::string_view text) {
  Words words;
  std::size_t at = 0;
  while ((at = text.find_first_not_of(" \t\r\n", at)) != std::string_view::npos) {
    const auto end = std::min(text.find_first_of(" \t\r\n", at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::optional<Expression::Kind> operator_of(std::string_view word) {
  const auto text = lower_case(word);
  // "and/or" leaves the choice open; whoever keeps to both is right in any case.
  if (text == "and" || text == "and/or" || text == "&") {
    return Expression::Kind::all;
  }
  return text == "or" || text == "|" ? std::optional(Expression::Kind::any) : std::nullopt;
}

/// Licences with "and" and "or" between them, without commas: "and" binds tighter.
Expression group(const Words& words, const UnknownLicense& unknown) {
  std::vector<Expression> alternatives;
  std::vector<Expression> all;
  Words name;
  const auto end_name = [&] {
    if (!name.empty()) {
      all.push_back(single(name, unknown));
      name.clear();
    }
  };
  const auto end_alternative = [&] {
    end_name();
    if (!all.empty()) {
      alternatives.push_back(join(Expression::Kind::all, std::exchange(all, {})));
    }
  };
  for (const auto word : words) {
    const auto kind = operator_of(word);
    if (!kind) {
      name.push_back(word);
    } else if (*kind == Expression::Kind::all) {
      end_name();
    } else {
      end_alternative();
    }
  }
  end_alternative();
  return alternatives.empty() ? unknown(phrase_of(words))
                              : join(Expression::Kind::any, std::move(alternatives));
}

/// "GPL-2 or later", which some write for "GPL-2+".
std::string without_or_later(std::string_view text) {
  std::string result(text);
  for (const std::string_view words : {" or any later version", " or later"}) {
    for (auto at = result.find(words); at != std::string::npos; at = result.find(words, at)) {
      result.replace(at, words.size(), at > 0 && result[at - 1] == '+' ? "" : "+");
    }
  }
  return result;
}

} // namespace

std::string spdx_of_debian_name(std::string_view text) {
  auto name = lower_case(text);
  if (const auto known = find(names, name)) {
    return std::string(*known);
  }
  for (const std::string_view ending : {"-or-later", "+"}) {
    if (name.ends_with(ending)) {
      name.resize(name.size() - ending.size());
      return spdx_of_plain(name, true);
    }
  }
  if (name.ends_with("-only")) {
    name.resize(name.size() - std::string_view("-only").size());
  }
  return spdx_of_plain(name, false);
}

Expression debian_expression(std::string_view synopsis, const UnknownLicense& unknown) {
  const auto text = without_or_later(synopsis);
  // A comma has the lowest priority: "A or B, and C" is (A or B) and C. In "A, B and C" it stands
  // for the operator that follows.
  std::vector<Words> groups;
  std::vector<std::optional<Expression::Kind>> before; // the operator before each group
  for (const auto part : split(text, ',')) {
    auto words = words_of(part);
    std::optional<Expression::Kind> kind;
    if (!words.empty() && !groups.empty() && (kind = operator_of(words.front()))) {
      words.erase(words.begin());
    }
    if (!words.empty()) {
      groups.push_back(std::move(words));
      before.push_back(kind);
    }
  }
  if (groups.empty()) {
    return unknown(synopsis);
  }
  auto open = Expression::Kind::all;
  for (auto at = groups.size(); at-- > 0;) {
    if (!before[at]) {
      for (const auto word : groups[at]) {
        open = operator_of(word).value_or(open);
      }
    }
    open = before[at].value_or(open);
    before[at] = open;
  }
  std::vector<Expression> alternatives;
  std::vector<Expression> all;
  for (std::size_t at = 0; at < groups.size(); ++at) {
    if (at > 0 && before[at] == Expression::Kind::any) {
      alternatives.push_back(join(Expression::Kind::all, std::exchange(all, {})));
    }
    all.push_back(group(groups[at], unknown));
  }
  alternatives.push_back(join(Expression::Kind::all, std::move(all)));
  return join(Expression::Kind::any, std::move(alternatives));
}

} // namespace aipack::license
