#include "aipack/deb/control.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "control_scan.hpp"

#include <algorithm>
#include <array>

// Syntax, Debian Policy 5.1 and deb822(5):
//
//   file      = paragraph *( 1*blank-line paragraph )
//   paragraph = 1*field
//   field     = name ":" value LF *( ( SP / TAB ) text LF )
//   name      = 1*( %x21-39 / %x3B-7E ), not starting with "#" or "-"
//
// Lines that start with "#" are comments. Lines of only spaces and tabs separate paragraphs too
// ("parsers may accept").

namespace aipack::deb {
namespace {

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool is_field_name(std::string_view name) noexcept {
  return !name.empty() && name.front() != '#' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > 0x20 && c < 0x7f && c != ':'; });
}

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t';
}

} // namespace

std::optional<std::string_view> Paragraph::find(std::string_view field) const noexcept {
  for (const auto& [name, value] : fields_) {
    if (same_name(name, field)) {
      return value;
    }
  }
  return std::nullopt;
}

std::string_view Paragraph::get(std::string_view field) const {
  if (const auto value = find(field)) {
    return *value;
  }
  throw Error(ErrorCode::corrupt,
              "cannot read control paragraph: it has no field " + aipack::quoted(field));
}

void Paragraph::set(std::string field, std::string value) {
  const auto bad = [&](const char* why) {
    return Error(ErrorCode::invalid_input,
                 "cannot set control field " + aipack::quoted(field) + ": " + why);
  };
  if (!is_field_name(field)) {
    throw bad("not a field name");
  }
  for (std::size_t end = value.find('\n'); end != std::string::npos;
       end = value.find('\n', end + 1)) {
    // Anything else would start a new field, or a new paragraph, once it is printed.
    const auto line = std::string_view(value).substr(end + 1, value.find('\n', end + 1) - end - 1);
    if (line.empty() || !is_space(line.front()) || trim(line).empty()) {
      throw bad("continuation lines start with a space and are not blank");
    }
  }
  for (auto& [name, old] : fields_) {
    if (same_name(name, field)) {
      old = std::move(value);
      return;
    }
  }
  fields_.emplace_back(std::move(field), std::move(value));
}

std::string Paragraph::to_string() const {
  std::string text;
  for (const auto& [name, value] : fields_) {
    text += name;
    text += value.empty() || value.front() == '\n' ? ":" : ": ";
    text += value;
    text += '\n';
  }
  return text;
}

std::vector<Paragraph> parse_control_up_to(std::string_view text, std::string_view name,
                                           std::size_t limit) {
  if (text.size() > limit) {
    throw FormatError(std::string(name), std::nullopt, "larger than " + human_bytes(limit));
  }
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    throw FormatError(std::string(name), nul, "a NUL byte in a text file");
  }
  std::vector<Paragraph> paragraphs;
  // Values grow line by line; they become a paragraph once they are complete.
  std::vector<std::pair<std::string, std::string>> fields;
  const auto finish = [&] {
    if (fields.empty()) {
      return;
    }
    auto& paragraph = paragraphs.emplace_back();
    for (auto& [field, value] : fields) {
      paragraph.set(std::move(field), std::move(value));
    }
    fields.clear();
  };
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    at = end + 1;
    if (!line.empty() && line.front() == '#') {
      continue;
    }
    if (trim(line).empty()) {
      finish();
      continue;
    }
    if (is_space(line.front())) {
      if (fields.empty()) {
        throw FormatError(std::string(name), begin, "a continuation line without a field");
      }
      fields.back().second += '\n';
      fields.back().second += line;
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      throw FormatError(std::string(name), begin,
                        "a line without a colon: " + aipack::quoted(line));
    }
    const std::string_view field = line.substr(0, colon);
    if (!is_field_name(field)) {
      throw FormatError(std::string(name), begin, aipack::quoted(field) + " is not a field name");
    }
    if (std::any_of(fields.begin(), fields.end(),
                    [&](const auto& known) { return same_name(known.first, field); })) {
      throw FormatError(std::string(name), begin,
                        "field " + aipack::quoted(field) + " appears twice");
    }
    if (fields.size() == max_control_fields) {
      throw FormatError(std::string(name), begin,
                        "more than " + std::to_string(max_control_fields) +
                            " fields in a paragraph");
    }
    fields.emplace_back(field, trim(line.substr(colon + 1)));
  }
  finish();
  return paragraphs;
}

std::vector<Paragraph> parse_control(std::string_view text, std::string_view name) {
  return parse_control_up_to(text, name, max_control_bytes);
}

// --- relations, Debian Policy 7.1
// -------------------------------------------------------------------------------------------------
//
//   field       = [ alternatives *( "," [ alternatives ] ) ]
//   alternatives= relation *( "|" relation )
//   relation    = name [ ":" architecture ] [ "(" operator version ")" ] [ "[" architectures "]" ]
//   *( "<" profiles ">" )
//
// Architecture and profile lists only occur in source packages; they are checked for their brackets
// and dropped. "<" and ">" are the deprecated spellings of "<=" and ">=".

namespace {

class RelationParser {
public:
  explicit RelationParser(std::string_view text) noexcept : text_(text) {}

  std::vector<std::vector<Relation>> parse() {
    std::vector<std::vector<Relation>> all;
    for (skip_space(); !at_end(); skip_space()) {
      if (accept(',')) {
        continue; // Substitution variables that were empty leave such commas.
      }
      auto& alternatives = all.emplace_back();
      do {
        alternatives.push_back(relation());
        skip_space();
      } while (accept('|'));
      if (!at_end() && !accept(',')) {
        fail("expected ',' or '|'");
      }
    }
    return all;
  }

private:
  [[noreturn]] void fail(std::string_view cause) const {
    throw Error(ErrorCode::corrupt, "cannot parse package relations " + aipack::quoted(text_) +
                                        ": " + std::string(cause) + " at byte " +
                                        std::to_string(at_));
  }

  [[nodiscard]] bool at_end() const noexcept { return at_ >= text_.size(); }
  void skip_space() noexcept {
    while (!at_end() && (is_space(text_[at_]) || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  bool accept(char c) noexcept {
    if (!at_end() && text_[at_] == c) {
      ++at_;
      return true;
    }
    return false;
  }
  template <class Predicate>
  std::string_view take_while(Predicate predicate) noexcept {
    const std::size_t begin = at_;
    while (!at_end() && predicate(text_[at_])) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  Relation relation() {
    skip_space();
    Relation result;
    const auto alnum = [](char c) {
      return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
    };
    const std::size_t begin = at_;
    const std::string_view name = take_while(
        [&](char c) { return alnum(c) || c == '+' || c == '-' || c == '.' || c == '_'; });
    if (name.empty() || !alnum(name.front())) {
      at_ = begin;
      fail("expected a package name");
    }
    result.name = name;
    if (accept(':')) {
      result.architecture = take_while([&](char c) { return alnum(c) || c == '-'; });
      if (result.architecture.empty()) {
        fail("expected an architecture after ':'");
      }
    }
    skip_space();
    if (accept('(')) {
      version(result);
      skip_space();
    }
    if (accept('[')) {
      skip_list(']');
    }
    while (accept('<')) {
      skip_list('>');
    }
    return result;
  }

  void version(Relation& relation) {
    static constexpr std::array<std::string_view, 7> operators{
        "<<", "<=", "=", ">=", ">>", "<", ">"};
    skip_space();
    const std::string_view op = take_while([](char c) { return c == '<' || c == '>' || c == '='; });
    if (std::find(operators.begin(), operators.end(), op) == operators.end()) {
      fail("expected one of << <= = >= >>");
    }
    relation.op = op == "<" ? "<=" : op == ">" ? ">=" : op;
    skip_space();
    const std::string_view text =
        take_while([](char c) { return c != ')' && !is_space(c) && c != '\n' && c != '\r'; });
    if (!Version::try_parse(text)) {
      fail("expected a version");
    }
    relation.version = text;
    skip_space();
    if (!accept(')')) {
      fail("expected ')'");
    }
  }

  void skip_list(char closing) {
    take_while([&](char c) { return c != closing && c != ',' && c != '|' && c != '('; });
    if (!accept(closing)) {
      fail(std::string("expected '") + closing + "'");
    }
    skip_space();
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

} // namespace

std::vector<std::vector<Relation>> parse_relations(std::string_view text) {
  if (text.size() > max_control_bytes) {
    throw Error(ErrorCode::corrupt,
                "cannot parse package relations: larger than " + human_bytes(max_control_bytes));
  }
  return RelationParser(text).parse();
}

} // namespace aipack::deb
