#include "wording.hpp"

#include "debian_names.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>

namespace aipack::license {
namespace {

/// Letters, digits and '+', '/', '-' and '.' inside words; all else is one space between words: the
/// same words, however a file is wrapped, quoted or indented.
std::string plain_words(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char raw : text) {
    const char c = raw >= 'A' && raw <= 'Z' ? static_cast<char>(raw - 'A' + 'a') : raw;
    const bool inside = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
                        c == '-' || c == '.';
    if (inside) {
      result += c;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  return result;
}

bool contains(std::string_view text, std::string_view words) noexcept {
  return text.find(words) != std::string_view::npos;
}

struct Wording {
  std::string_view opening; ///< as plain_words() gives it
  std::string_view spdx;    ///< empty: decided by what follows (the BSD family)
};

// The first sentence of the grant, or words that stand in one licence only. Texts: SPDX licence
// list, "matching guidelines" 3 to 5 (case, white space and punctuation do not matter).
constexpr std::array<Wording, 11> wordings{{
    {"permission is hereby granted free of charge to any person obtaining a copy of this software "
     "and associated documentation files",
     "MIT"},
    {"this software is provided as-is without any express or implied warranty. in no event will "
     "the authors be held liable for any damages arising from the use of this software",
     "Zlib"},
    {"permission to use copy modify and/or distribute this software for any purpose with or "
     "without fee is hereby granted",
     "ISC"},
    {"permission to use copy modify and distribute this software for any purpose with or without "
     "fee is hereby granted",
     "ISC"},
    {"additional permissions described in the gcc runtime library exception version 3.1",
     "GPL-3.0-or-later WITH GCC-exception-3.1"},
    {"boost software license - version 1.0", "BSL-1.0"},
    {"licensed under the apache license version 2.0", "Apache-2.0"},
    {"this source code form is subject to the terms of the mozilla public license v. 2.0",
     "MPL-2.0"},
    {"copying and distribution of this file with or without modification are permitted in any "
     "medium without royalty provided the copyright notice and this notice are preserved",
     "FSFAP"},
    {"this software is provided as is and without any express or implied warranties",
     "Artistic-1.0-Perl"},
    {"redistribution and use in source and binary forms with or without modification are permitted",
     ""},
}};

/// Two to four clauses: what follows the grant, up to the next one, decides.
std::string_view bsd_of(std::string_view text) noexcept {
  if (contains(text, "all advertising materials mentioning features")) {
    return "BSD-4-Clause";
  }
  const bool no_endorsement =
      contains(text, "endorse or promote products") || contains(text, "to endorse or promote");
  return no_endorsement ? "BSD-3-Clause" : "BSD-2-Clause";
}

void find_wordings(const std::string& text, std::map<std::size_t, std::string>& found) {
  for (const auto& wording : wordings) {
    for (auto at = text.find(wording.opening); at != std::string::npos;
         at = text.find(wording.opening, at + 1)) {
      const auto next = text.find(wording.opening, at + 1);
      found[at] = wording.spdx.empty()
                      ? std::string(bsd_of(std::string_view(text).substr(at, next - at)))
                      : std::string(wording.spdx);
    }
  }
}

/// "Version 3" of a grant whose reference names no version ("/usr/share/common-licenses/GPL"); the
/// last one counts. Empty: it names none.
std::string stated_version(std::string_view grant) {
  constexpr std::string_view word = "version ";
  std::string version;
  for (auto at = grant.find(word); at != std::string_view::npos; at = grant.find(word, at + 1)) {
    auto number = grant.substr(at + word.size());
    number = number.substr(0, number.find_first_not_of("0123456789."));
    while (number.ends_with('.')) {
      number.remove_suffix(1);
    }
    if (!number.empty()) {
      version = number;
    }
  }
  return version;
}

/// References to Debian's common licences. "Or any later version" stands before the reference, not
/// further back than the reference before it.
void find_references(const std::string& text, std::map<std::size_t, std::string>& found) {
  constexpr std::string_view folder = "/usr/share/common-licenses/";
  constexpr std::size_t one_grant_bytes = 200;
  constexpr std::size_t grant_bytes = 4096; // the longest that is looked at
  std::size_t before = 0;
  for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder, at + 1)) {
    const auto begin = at + folder.size();
    auto name = std::string_view(text).substr(begin, text.find(' ', begin) - begin);
    while (name.ends_with('.') || name.ends_with('-')) {
      name.remove_suffix(1);
    }
    before = std::max(before, at - std::min(at, grant_bytes));
    const auto grant = std::string_view(text).substr(before, at - before);
    const bool or_later = contains(grant, "any later version");
    const bool has_version = name.find_first_of("0123456789") != std::string_view::npos;
    const auto version = has_version ? std::string() : stated_version(grant);
    const auto whole = std::string(name) + (version.empty() ? "" : "-" + version);
    auto spdx = spdx_of_debian_name(whole + (or_later ? "+" : ""));
    if (spdx.empty()) {
      spdx = spdx_of_debian_name(name);
    }
    if (!spdx.empty()) {
      found[at] = std::move(spdx);
    }
    // "… in GPL, version 3 of it in GPL-3" is one grant.
    const auto next = text.find(folder, at + 1);
    if (next != std::string::npos && next - at > one_grant_bytes) {
      before = at;
    }
  }
}

} // namespace

std::vector<Expression> recognise_wording(std::string_view text) {
  const auto words = plain_words(text);
  std::map<std::size_t, std::string> found; // by place, so that the order is the text's
  find_wordings(words, found);
  find_references(words, found);
  std::vector<Expression> licenses;
  for (const auto& [at, spdx] : found) {
    auto expression = parse(spdx);
    if (expression && std::ranges::find(licenses, *expression) == licenses.end()) {
      licenses.push_back(std::move(*expression));
    }
  }
  return licenses;
}

} // namespace aipack::license
