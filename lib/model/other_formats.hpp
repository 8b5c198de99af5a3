#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace aipack::model {

/// A file that is something else than a model aipack can serve: what it is, and what its owner can
/// do.
struct OtherFormat {
  std::string_view what;
  std::string_view hint;
  bool is_model = true; ///< a model of a format that is not served yet, rather than no model at all
};

/// Judges by content alone, from the first bytes of a file; empty: unknown.
[[nodiscard]] std::optional<OtherFormat> recognise_other_format(std::span<const std::byte> head);

} // namespace aipack::model
