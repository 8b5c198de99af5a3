#pragma once

#include "aipack/core/export.hpp"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::license {

/// "Nothing is stated", as SPDX 2.3 (section 8.5 and others) writes it.
inline constexpr std::string_view no_assertion = "NOASSERTION";
/// Of the SPDX licence list whose identifiers are known.
inline constexpr std::string_view list_version = "3.29";
/// Longest statement that is read as an expression.
inline constexpr std::size_t max_expression_bytes = std::size_t{16} << 10;
/// Brackets in one another, at most.
inline constexpr unsigned max_expression_depth = 32;

/// A licence as documents state it: every `LicenseRef-…` of `expression` has its text.
struct License {
  std::string expression{no_assertion};       ///< SPDX licence expression, or NOASSERTION
  std::map<std::string, std::string> texts{}; ///< "LicenseRef-Debian-GPL-3-with-font" → its text
  bool operator==(const License&) const = default;
};

/// The identifier of the SPDX licence list that `name` is, whatever its case; empty: none.
[[nodiscard]] AIPACK_API std::optional<std::string_view> spdx_id(std::string_view name) noexcept;
/// The same of the exceptions, "GCC-exception-3.1".
[[nodiscard]] AIPACK_API std::optional<std::string_view>
spdx_exception(std::string_view name) noexcept;

/// Reads `text` as an SPDX licence expression and gives it in canonical spelling: identifiers as
/// the list has them, operators in capitals, brackets only where they mean something. Empty when it
/// is none; a LicenseRef counts. Source: SPDX 2.3, annex D.
[[nodiscard]] AIPACK_API std::optional<std::string> try_parse_expression(std::string_view text);

/// A LicenseRef of any words: "LicenseRef-" PREFIX "-" NAME with whatever an idstring may not hold
/// replaced by '-'. With a text its digest is part of the name: one LicenseRef never has two texts,
/// in whatever documents it meets itself.
[[nodiscard]] AIPACK_API std::string license_ref(std::string_view prefix, std::string_view name,
                                                 std::string_view text = {});

/// Every LicenseRef of an expression, sorted, each once; nothing for what is no expression.
[[nodiscard]] AIPACK_API std::vector<std::string> references_of(std::string_view expression);

/// Texts beyond this are left where they are, and pointed at.
inline constexpr std::size_t max_text_bytes = std::size_t{16} << 10;

/// What someone wrote as a licence, in free words: an expression where it is one, else a LicenseRef
/// with these words as its text; NOASSERTION for blank words.
[[nodiscard]] AIPACK_API License from_words(std::string_view words);

/// All of these together: expressions joined by AND, each once, sorted; texts united. Nothing, or
/// only NOASSERTION, is NOASSERTION.
[[nodiscard]] AIPACK_API License all_of(std::span<const License> licenses);

} // namespace aipack::license
