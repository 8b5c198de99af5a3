#include "auth_challenge.hpp"

#include "header_text.hpp"

#include <algorithm>
#include <utility>

namespace aipack::registry {
namespace {

bool is_token_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// A cursor over the header; every method is right at the end as well.
class Reader {
public:
  explicit Reader(std::string_view text) noexcept : rest_(text) {}

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  [[nodiscard]] bool sees(char c) const noexcept { return !rest_.empty() && rest_.front() == c; }
  [[nodiscard]] bool skip(char c) noexcept {
    const bool found = sees(c);
    rest_.remove_prefix(found ? 1 : 0);
    return found;
  }
  void skip_spaces() noexcept {
    while (skip(' ') || skip('\t')) {
    }
  }
  void skip_separators() noexcept {
    skip_spaces();
    while (skip(',')) {
      skip_spaces();
    }
  }
  [[nodiscard]] std::string_view token() noexcept {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_token_char);
    const std::string_view found = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(found.size());
    return found;
  }
  /// After its opening quote; without a closing one everything to the end.
  [[nodiscard]] std::string quoted_string() {
    std::string value;
    while (!rest_.empty() && !skip('"')) {
      if (skip('\\') && rest_.empty()) {
        break;
      }
      value += rest_.front();
      rest_.remove_prefix(1);
    }
    return value;
  }
  /// To the next comma outside quotes.
  void skip_element() {
    while (!rest_.empty() && !sees(',')) {
      if (skip('"')) {
        static_cast<void>(quoted_string());
      } else {
        rest_.remove_prefix(1);
      }
    }
  }

private:
  std::string_view rest_;
};

/// NAME BWS "=" BWS VALUE at the cursor; on failure the cursor stays where it was.
bool read_parameter(Reader& reader, std::pair<std::string, std::string>& parameter) {
  Reader ahead = reader;
  const std::string_view name = ahead.token();
  ahead.skip_spaces();
  if (name.empty() || !ahead.skip('=')) {
    return false;
  }
  ahead.skip_spaces();
  std::string value = ahead.skip('"') ? ahead.quoted_string() : std::string(ahead.token());
  ahead.skip_spaces();
  if (!ahead.at_end() && !ahead.sees(',')) {
    return false; // token68 ends in "=" as well: "Negotiate YII=="
  }
  parameter = {lower(name), std::move(value)};
  reader = ahead;
  return true;
}

} // namespace

std::string Challenge::get(const char* name) const {
  const auto found = parameters.find(name);
  return found == parameters.end() ? std::string{} : found->second;
}

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> challenges;
  Reader reader(header);
  for (reader.skip_separators(); !reader.at_end(); reader.skip_separators()) {
    std::pair<std::string, std::string> parameter;
    if (!challenges.empty() && read_parameter(reader, parameter)) {
      if (auto& known = challenges.back().parameters; known.size() < max_challenge_parameters) {
        known.insert(std::move(parameter));
      }
      continue;
    }
    const std::string_view scheme = reader.token();
    if (scheme.empty() || challenges.size() == max_challenges) {
      reader.skip_element();
      continue;
    }
    challenges.push_back({.scheme = lower(scheme)});
    reader.skip_spaces();
    if (!reader.at_end() && !reader.sees(',')) {
      if (read_parameter(reader, parameter)) {
        challenges.back().parameters.insert(std::move(parameter));
      } else {
        reader.skip_element(); // token68
      }
    }
  }
  return challenges;
}

std::vector<Challenge> challenges_of(const http::Response& response) {
  std::vector<Challenge> all;
  for (const std::string& header : all_headers(response, "www-authenticate")) {
    for (Challenge& challenge : parse_challenges(header)) {
      if (all.size() < max_challenges) {
        all.push_back(std::move(challenge));
      }
    }
  }
  return all;
}

} // namespace aipack::registry
