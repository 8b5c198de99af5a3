#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace aipack::serve {

/// Deepest nesting of arrays and objects in a request.
inline constexpr std::size_t max_json_depth = 64;

/// Pull reader over one JSON text in memory (RFC 8259), in order, without a document tree: an array
/// of a million numbers goes straight into its tensor. Numbers may also be NaN, Infinity and
/// -Infinity, as Python's json module writes them; who takes a number decides whether that is
/// allowed.
///
/// Throws RequestError (400) "... at byte N" for text that is not JSON. *Ownership*: borrows the
/// text.
///
///     for (cursor.begin_object(); cursor.next_member(key);) { ... cursor.skip_value(); }
class JsonCursor {
public:
  enum class Kind { object, array, string, number, boolean, null };

  /// Starts reading at byte `offset`; positions in messages count from the start of `text`.
  explicit JsonCursor(std::string_view text, std::size_t offset = 0) noexcept
      : text_(text), at_(offset) {}

  /// What the next value is, without taking it.
  [[nodiscard]] Kind peek();

  void begin_object();
  /// Takes the next key and its colon, or the closing brace (then false).
  [[nodiscard]] bool next_member(std::string& key);
  void begin_array();
  /// Stands before the next element, or takes the closing bracket (then false).
  [[nodiscard]] bool next_element();

  /// Takes a string, with escapes resolved and UTF-8 checked.
  [[nodiscard]] std::string read_string();
  /// Takes a number and returns its text, which is one of the grammar or one of the three
  /// non-finite words.
  [[nodiscard]] std::string_view read_number();
  [[nodiscard]] bool read_bool();
  void read_null();
  /// Takes any value, checked to the last byte, and returns its text.
  std::string_view skip_value();

  /// Only white space may follow.
  void finish();

  /// Byte position of the next unread character.
  [[nodiscard]] std::size_t offset() const noexcept { return at_; }

  [[noreturn]] void fail(std::string_view cause) const { fail_at(cause, at_); }

private:
  [[noreturn]] void fail_at(std::string_view cause, std::size_t at) const;
  [[nodiscard]] bool at_end() const noexcept { return at_ >= text_.size(); }
  [[nodiscard]] char next_char();
  void skip_space() noexcept;
  void expect_word(std::string_view word);
  void open(char bracket);
  [[nodiscard]] bool next_in(char closing);
  [[nodiscard]] std::uint32_t read_hex4();
  void read_escape(std::string* out);
  void scan_string(std::string* out);

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::array<bool, max_json_depth>
      started_{}; ///< by level: whether an element was taken, so that a comma is due
};

} // namespace aipack::serve
