#include "aipack/deb/version.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <limits>

// Grammar and order, Debian Policy 5.6.12 and deb-version(7):
//
//   version  = [ epoch ":" ] upstream [ "-" revision ]      the last hyphen separates, the first
//   colon separates epoch    = decimal, at most 2^31 - 1 (dpkg's limit), 0 when absent upstream =
//   1*( alnum / "." / "+" / "-" / "~" / ":" )    ":" only after an epoch, "-" only before a
//   revision revision = 1*( alnum / "." / "+" / "~" )
//
// Deviation: Policy says that upstream "should" start with a digit. dpkg only warns, and so vendors
// got it wrong: accepted here too.

namespace aipack::deb {
namespace {

constexpr std::size_t max_version_bytes = 512;

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool consists_of(std::string_view text, std::string_view punctuation) noexcept {
  for (const char c : text) {
    if (!is_digit(c) && !is_letter(c) && punctuation.find(c) == std::string_view::npos) {
      return false;
    }
  }
  return !text.empty();
}

/// The place of a character in the non-digit parts: a tilde before the end of the part, the end
/// before letters, letters before the rest.
int weight(std::string_view text, std::size_t at) noexcept {
  if (at >= text.size() || is_digit(text[at])) {
    return 0;
  }
  if (text[at] == '~') {
    return -1;
  }
  const int code = static_cast<unsigned char>(text[at]);
  return is_letter(text[at]) ? code : code + 256;
}

/// The digits that start at `at`, without leading zeros; `at` moves behind them.
std::string_view take_number(std::string_view text, std::size_t& at) noexcept {
  while (at < text.size() && text[at] == '0') {
    ++at;
  }
  const std::size_t begin = at;
  while (at < text.size() && is_digit(text[at])) {
    ++at;
  }
  return text.substr(begin, at - begin);
}

/// Compares an upstream version or a revision: alternately the longest non-digit parts by weight
/// and the longest digit parts as numbers of any length.
std::weak_ordering compare_part(std::string_view a, std::string_view b) noexcept {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    while ((i < a.size() && !is_digit(a[i])) || (j < b.size() && !is_digit(b[j]))) {
      const int left = weight(a, i);
      const int right = weight(b, j);
      if (left != right) {
        return left <=> right;
      }
      ++i;
      ++j;
    }
    const std::string_view left = take_number(a, i);
    const std::string_view right = take_number(b, j);
    if (left.size() != right.size()) {
      return left.size() <=> right.size();
    }
    if (const int order = left.compare(right); order != 0) {
      return order <=> 0;
    }
  }
  return std::weak_ordering::equivalent;
}

} // namespace

std::optional<Version> Version::try_parse(std::string_view text) {
  if (text.empty() || text.size() > max_version_bytes) {
    return std::nullopt;
  }
  Version version;
  version.text_ = text;
  std::string_view upstream = text;
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const auto epoch = parse_decimal(text.substr(0, colon));
    if (!epoch || *epoch > static_cast<std::uint64_t>(std::numeric_limits<int>::max())) {
      return std::nullopt;
    }
    version.epoch_ = static_cast<unsigned>(*epoch);
    upstream = text.substr(colon + 1);
  }
  if (const std::size_t hyphen = upstream.rfind('-'); hyphen != std::string_view::npos) {
    const std::string_view revision = upstream.substr(hyphen + 1);
    if (!consists_of(revision, ".+~")) {
      return std::nullopt;
    }
    version.revision_ = revision;
    upstream = upstream.substr(0, hyphen);
  }
  if (!consists_of(upstream, colon == std::string_view::npos ? ".+-~" : ".+-~:")) {
    return std::nullopt;
  }
  version.upstream_ = upstream;
  return version;
}

Version Version::parse(std::string_view text) {
  if (auto version = try_parse(text)) {
    return *std::move(version);
  }
  throw Error(ErrorCode::invalid_input, "cannot parse Debian version " + aipack::quoted(text) +
                                            ": not of the form [epoch:]upstream[-revision]");
}

std::weak_ordering Version::operator<=>(const Version& other) const noexcept {
  if (epoch_ != other.epoch_) {
    return epoch_ <=> other.epoch_;
  }
  if (const auto order = compare_part(upstream_, other.upstream_); order != 0) {
    return order;
  }
  return compare_part(revision_, other.revision_);
}

} // namespace aipack::deb
