#include "aipack/license/license.hpp"

#include "aipack/core/text.hpp"
#include "aipack/oci/digest.hpp"

#include "expression.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace aipack::license {
namespace {

constexpr std::size_t max_name_in_reference = 64;
constexpr std::size_t digits_of_text = 8;

// What people write where an identifier is asked for.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> free_words{{
    {"apache", "Apache-2.0"},
    {"apache 2", "Apache-2.0"},
    {"apache 2.0", "Apache-2.0"},
    {"apache license 2.0", "Apache-2.0"},
    {"apache license version 2.0", "Apache-2.0"},
    {"apache-2", "Apache-2.0"},
    {"apache2", "Apache-2.0"},
    {"bsd 2-clause", "BSD-2-Clause"},
    {"bsd 3-clause", "BSD-3-Clause"},
    {"bsd-2", "BSD-2-Clause"},
    {"bsd-3", "BSD-3-Clause"},
    {"cc0", "CC0-1.0"},
    {"gpl v3", "GPL-3.0-only"},
    {"gplv3", "GPL-3.0-only"},
    {"mit license", "MIT"},
    {"the mit license", "MIT"},
}};

std::string without_commas(std::string_view words) {
  auto text = lower_case(words);
  std::erase(text, ',');
  return text;
}

/// The leaves of an expression that are a LicenseRef.
void add_references(const Expression& expression, std::vector<std::string>& into) {
  if (expression.text.starts_with("LicenseRef-")) {
    into.push_back(expression.text.substr(0, expression.text.find(' ')));
  }
  for (const auto& part : expression.parts) {
    add_references(part, into);
  }
}

} // namespace

std::string license_ref(std::string_view prefix, std::string_view name, std::string_view text) {
  std::string ref = "LicenseRef";
  const auto add = [&](std::string_view part) {
    if (!part.empty()) {
      ref += '-';
    }
    for (const char c : part.substr(0, max_name_in_reference)) {
      if (is_id_string({&c, 1})) {
        ref += c;
      } else if (!ref.ends_with('-')) {
        ref += '-';
      }
    }
    while (ref.ends_with('-')) {
      ref.pop_back();
    }
  };
  add(prefix);
  add(name);
  if (!text.empty()) {
    add(oci::Digest::of(text).hex().substr(0, digits_of_text));
  }
  return ref == "LicenseRef" ? ref + "-unnamed" : ref;
}

std::vector<std::string> references_of(std::string_view expression) {
  std::vector<std::string> references;
  if (const auto parsed = parse(expression)) {
    add_references(*parsed, references);
  }
  std::ranges::sort(references);
  references.erase(std::unique(references.begin(), references.end()), references.end());
  return references;
}

License from_words(std::string_view words) {
  const auto text = trim(words);
  const auto plain = without_commas(text);
  if (text.empty() || plain == "unknown" || plain == "noassertion") {
    return {};
  }
  const auto known = std::ranges::find(free_words, std::string_view(plain),
                                       &std::pair<std::string_view, std::string_view>::first);
  if (known != free_words.end()) {
    return {.expression = std::string(known->second)};
  }
  if (const auto parsed = parse(text)) {
    License license{.expression = to_string(*parsed)};
    for (const auto& reference : references_of(license.expression)) {
      license.texts.emplace(reference, fmt::format("{} is all that is stated.", reference));
    }
    return license;
  }
  std::string stated(text.substr(0, max_text_bytes));
  if (!is_utf8(stated)) {
    stated = quoted(text);
  }
  auto ref = license_ref("", text.substr(0, text.find('\n')), stated);
  return {.expression = ref, .texts = {{ref, stated}}};
}

License all_of(std::span<const License> licenses) {
  std::vector<Expression> parts;
  License result;
  for (const auto& license : licenses) {
    if (auto parsed = parse(license.expression)) {
      parts.push_back(std::move(*parsed));
      result.texts.insert(license.texts.begin(), license.texts.end());
    }
  }
  if (parts.empty()) {
    return result;
  }
  auto whole = join(Expression::Kind::all, std::move(parts));
  if (whole.kind == Expression::Kind::all) {
    std::ranges::sort(whole.parts, {}, [](const Expression& part) { return to_string(part); });
  }
  result.expression = to_string(whole);
  return result;
}

} // namespace aipack::license
