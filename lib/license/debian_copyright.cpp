#include "aipack/core/text.hpp"
#include "aipack/license/debian.hpp"

#include "debian_names.hpp"
#include "wording.hpp"
#include "words.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include <fmt/format.h>

// Debian's machine-readable copyright files, copyright-format 1.0:
//
//   header paragraph     Format: URL …, maybe License
//   files paragraph      Files: …, Copyright: …, License: synopsis LF text?
//   licence paragraph    License: short-name LF text
//
// in the syntax of deb822(5): fields with continuation lines that begin with a space; " ." is an
// empty line of a text. The reader takes what is there: a paragraph that it does not understand
// says nothing, a file without a single licence is read as free text.

namespace aipack::license {
namespace {

struct Paragraph {
  bool has_format = false;
  bool has_files = false;
  std::optional<std::string> license; ///< synopsis, LF, text
};

/// The fields that matter; lines are joined by LF, without the space that begins them.
std::optional<std::vector<Paragraph>> paragraphs_of(std::string_view text) {
  std::vector<Paragraph> paragraphs;
  bool is_open = false;
  std::string* value = nullptr;
  for (auto line : split(text, '\n')) {
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (trim(line).empty()) {
      is_open = false;
      value = nullptr;
    } else if (line.front() == '#') {
      continue;
    } else if (line.front() == ' ' || line.front() == '\t') {
      if (value != nullptr) {
        line.remove_prefix(1);
        *value += "\n";
        *value += trim(line) == "." ? std::string_view() : line;
      }
    } else {
      if (!is_open && paragraphs.size() == max_copyright_paragraphs) {
        return std::nullopt;
      }
      auto& paragraph = is_open ? paragraphs.back() : paragraphs.emplace_back();
      is_open = true;
      value = nullptr;
      const auto colon = line.find(':');
      const auto field = lower_case(line.substr(0, colon));
      paragraph.has_format = paragraph.has_format || field.starts_with("format");
      paragraph.has_files = paragraph.has_files || field == "files";
      if (field == "license" && colon != std::string_view::npos && !paragraph.license) {
        value = &paragraph.license.emplace(trim(line.substr(colon + 1)));
      }
    }
  }
  return paragraphs;
}

std::string_view first_line(std::string_view text) noexcept {
  return trim(text.substr(0, text.find('\n')));
}

std::string_view other_lines(std::string_view text) noexcept {
  const auto end = text.find('\n');
  return end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
}

std::string place_of(std::string_view package) {
  return fmt::format("/usr/share/doc/{}/copyright", package);
}

/// Nothing was recognised: where the words are.
License pointer_to(std::string_view package) {
  const auto text = fmt::format("The licence of the Debian package {} is in {} of the image.",
                                package, place_of(package));
  auto ref = license_ref("Debian", package);
  return {.expression = ref, .texts = {{ref, text}}};
}

/// Empty: nothing is recognised.
std::optional<License> free_form(std::string_view text) {
  auto recognised = recognise_wording(text);
  if (recognised.empty()) {
    return std::nullopt;
  }
  return License{.expression = to_string(join(Expression::Kind::all, std::move(recognised)))};
}

/// Reads a machine-readable file.
class Reader {
public:
  Reader(std::vector<Paragraph> paragraphs, std::string_view package)
      : paragraphs_(std::move(paragraphs)), package_(package) {
    for (const auto& paragraph : paragraphs_) {
      if (paragraph.license && !paragraph.has_files) {
        standalone_.try_emplace(lower_case(first_line(*paragraph.license)),
                                other_lines(*paragraph.license));
      }
    }
  }

  /// Empty when no paragraph of files names a licence.
  std::optional<License> read() {
    std::vector<Expression> all;
    for (const auto& paragraph : paragraphs_) {
      if (!paragraph.license || !(paragraph.has_files || paragraph.has_format)) {
        continue;
      }
      const auto synopsis = first_line(*paragraph.license);
      const auto text = other_lines(*paragraph.license);
      auto expression = synopsis.empty()
                            ? without_name(text)
                            : debian_expression(synopsis, [&](std::string_view name) {
                                return unknown(name, name == synopsis ? text : std::string_view());
                              });
      if (std::ranges::find(all, expression) == all.end()) {
        all.push_back(std::move(expression));
      }
      if (all.size() > max_copyright_licenses) {
        return pointer_to(package_);
      }
    }
    if (all.empty()) {
      return std::nullopt;
    }
    License result{.expression = to_string(join(Expression::Kind::all, std::move(all)))};
    result.texts = std::move(texts_);
    return result;
  }

private:
  Expression reference(std::string_view name, std::string_view text) {
    std::string stated(trim(text));
    if (stated.empty() || stated.size() > max_text_bytes || !is_utf8(stated)) {
      stated = fmt::format("{} of the Debian package {}: {} of the image has what is stated.",
                           quoted(name), package_, place_of(package_));
    }
    auto ref = license_ref("Debian", name, stated);
    texts_.try_emplace(ref, std::move(stated));
    return {.kind = Expression::Kind::leaf, .text = std::move(ref)};
  }

  Expression unknown(std::string_view name, std::string_view inline_text) {
    if (trim(inline_text).empty()) {
      const auto found = standalone_.find(lower_case(name));
      inline_text = found == standalone_.end() ? std::string_view() : found->second;
    }
    return reference(name, inline_text);
  }

  /// "License:" with nothing but a text behind it.
  Expression without_name(std::string_view text) {
    auto recognised = recognise_wording(text);
    return recognised.empty() ? reference(package_, text)
                              : join(Expression::Kind::all, std::move(recognised));
  }

  std::vector<Paragraph> paragraphs_;
  std::string package_;
  std::map<std::string, std::string_view> standalone_; ///< by short name, in lower case
  std::map<std::string, std::string> texts_;
};

} // namespace

License read_debian_copyright(std::string_view text, std::string_view package) {
  std::optional<License> license;
  if (text.size() <= max_copyright_bytes) {
    auto paragraphs = paragraphs_of(text);
    if (paragraphs && !paragraphs->empty() && paragraphs->front().has_format) {
      license = Reader(std::move(*paragraphs), package).read();
    }
    if (!license) {
      license = free_form(text);
    }
  }
  // What is written must be what can be read back.
  return license && license->expression.size() <= max_expression_bytes ? std::move(*license)
                                                                       : pointer_to(package);
}

} // namespace aipack::license
