#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// PAX extended header records: "LENGTH KEY=VALUE\n", where LENGTH is decimal and counts the whole
/// record, its own digits and the newline included. Source: POSIX.1-2017, pax, "pax Header Block"
/// and "pax Extended Header".
namespace aipack::archive {

/// What extended headers may say about one member; what aipack has no use for (comment, times of
/// access, extended attributes) is dropped. A key with an empty value is treated as if it had not
/// been given (POSIX: it withdraws earlier values).
struct PaxValues {
  std::optional<std::string> path{};
  std::optional<std::string> link_path{};
  std::optional<std::string> user_name{};
  std::optional<std::string> group_name{};
  std::optional<std::uint64_t> size{};
  std::optional<std::uint64_t> uid{};
  std::optional<std::uint64_t> gid{};
  std::optional<std::int64_t> mtime{}; ///< whole seconds, rounded down
};

/// Parses the body of a PAX header of the archive `file` that starts at byte `offset`. Throws
/// FormatError{corrupt}: malformed records, a key given twice, NUL in a name, sparse files.
[[nodiscard]] PaxValues parse_pax(std::string_view body, const std::string& file,
                                  std::uint64_t offset);

/// One record.
[[nodiscard]] std::string pax_record(std::string_view key, std::string_view value);

/// Shortest record that pax_filler can make: "13 comment=.\n".
inline constexpr std::uint64_t min_pax_filler_bytes = 13;
/// A `comment` record of exactly `length` bytes (at least min_pax_filler_bytes).
[[nodiscard]] std::string pax_filler(std::uint64_t length);

} // namespace aipack::archive
