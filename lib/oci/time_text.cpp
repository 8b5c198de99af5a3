#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include <algorithm>

namespace aipack::oci {
namespace {

/// The two digits at `at`; empty when they are none or above `most`.
std::optional<unsigned> two_digits(std::string_view text, std::size_t at, unsigned most) noexcept {
  if (at + 2 > text.size()) {
    return std::nullopt;
  }
  const auto number = parse_decimal(text.substr(at, 2));
  return number && *number <= most ? std::optional(static_cast<unsigned>(*number)) : std::nullopt;
}

/// "Z", "+01:00", "-09:30".
std::optional<std::chrono::minutes> offset_of(std::string_view text) noexcept {
  if (text == "Z" || text == "z") {
    return std::chrono::minutes(0);
  }
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
    return std::nullopt;
  }
  const auto hours = two_digits(text, 1, 23);
  const auto minutes = two_digits(text, 4, 59);
  if (!hours || !minutes) {
    return std::nullopt;
  }
  const std::chrono::minutes offset(*hours * 60 + *minutes);
  return text[0] == '-' ? -offset : offset;
}

} // namespace

std::optional<std::chrono::sys_seconds> try_rfc3339(std::string_view text) noexcept {
  constexpr std::size_t seconds_end = 19; // "2026-11-21T12:00:00"
  if (text.size() <= seconds_end || text[4] != '-' || text[7] != '-' ||
      (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = parse_decimal(text.substr(0, 4));
  const auto month = two_digits(text, 5, 12);
  const auto day = two_digits(text, 8, 31);
  const auto hour = two_digits(text, 11, 23);
  const auto minute = two_digits(text, 14, 59);
  const auto second = two_digits(text, 17, 60); // a leap second
  if (!year || !month || !day || !hour || !minute || !second) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day)};
  std::string_view rest = text.substr(seconds_end);
  if (rest.front() == '.') {
    const std::size_t end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
    if (end == 1) {
      return std::nullopt;
    }
    rest.remove_prefix(end);
  }
  const auto offset = offset_of(rest);
  if (!date.ok() || !offset) {
    return std::nullopt;
  }
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second) - *offset;
}

} // namespace aipack::oci
