#pragma once

#include "aipack/core/export.hpp"

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::fs {

/// A path inside an image's root, "usr/lib/libfoo.so.1": relative, normal, byte-wise ordered so
/// that a parent precedes its children. Cannot hold `..`, `.`, an empty part, NUL, or a leading
/// slash; the root itself is the empty path.
class AIPACK_API RootPath {
public:
  /// Names longer than this are refused: Linux's PATH_MAX.
  static constexpr std::size_t max_bytes = 4096;
  static constexpr std::size_t max_part_bytes = 255;

  RootPath() = default;
  /// Accepts an optional leading "/" or "./" and a trailing "/". Throws Error{invalid_input}.
  [[nodiscard]] static RootPath parse(std::string_view text);
  [[nodiscard]] static std::optional<RootPath> try_parse(std::string_view text);

  [[nodiscard]] bool is_root() const noexcept { return text_.empty(); }
  [[nodiscard]] const std::string& text() const noexcept { return text_; } ///< "usr/lib"
  [[nodiscard]] std::string to_string() const { return "/" + text_; }      ///< "/usr/lib"
  [[nodiscard]] std::string_view filename() const noexcept;                ///< "" for the root
  [[nodiscard]] RootPath parent() const; ///< the root's parent is the root
  [[nodiscard]] RootPath operator/(std::string_view relative) const;      ///< parse()s `relative`
  [[nodiscard]] bool is_within(const RootPath& directory) const noexcept; ///< equal or below
  /// `target` of a symbolic link that stands at this path, followed lexically beneath the root
  /// ("../lib/x", "/etc/x"). Parts that climb above the root stay at the root, as in a chroot.
  [[nodiscard]] RootPath resolve_link(std::string_view target) const;

  /// By parts: "a" < "a/b" < "a.b", so that a directory's content is contiguous and follows it.
  std::strong_ordering operator<=>(const RootPath& other) const noexcept;
  bool operator==(const RootPath&) const = default;

private:
  explicit RootPath(std::string text) noexcept : text_(std::move(text)) {}
  std::string text_;
};

} // namespace aipack::fs
