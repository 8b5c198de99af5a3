#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The small grammars of the distribution API. They are written again here, from the
/// specification, so that a mistake in the library's own readers cannot hide behind itself.
namespace aipack::test {

/// A request target, percent-decoded.
struct Target {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;

  static Target parse(std::string_view target);
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> all(std::string_view name) const;
};

[[nodiscard]] std::string percent_decode(std::string_view text, bool plus_is_space);
/// Everything but unreserved characters (RFC 3986, section 2.3) is encoded.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// application/x-www-form-urlencoded
[[nodiscard]] std::vector<std::pair<std::string, std::string>> parse_form(std::string_view text);

[[nodiscard]] std::string base64_encode(std::string_view bytes);
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

[[nodiscard]] bool is_repository(std::string_view name); ///< distribution-spec, "Pulling manifests"
[[nodiscard]] bool is_tag(std::string_view text);
[[nodiscard]] bool is_digest(std::string_view text); ///< sha256 or sha512, in its canonical form

/// Decimal digits alone.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator); ///< trimmed
[[nodiscard]] std::string lower(std::string_view text);

/// What a Range header asks of content of this size (RFC 9110, section 14).
struct ByteRange {
  enum class Verdict { whole, part, unsatisfiable };
  Verdict verdict = Verdict::whole;
  std::uint64_t first = 0;
  std::uint64_t length = 0;

  /// Whole for what a server may ignore: other units, bad syntax, several ranges.
  static ByteRange of(std::string_view header, std::uint64_t size);
};

} // namespace aipack::test
