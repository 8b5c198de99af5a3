#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What of a blob is there and what is fetched next, as values: no request is made here.
namespace aipack::registry {

/// Smaller blobs are fetched into memory, in one request.
inline constexpr std::uint64_t memory_below_bytes = std::uint64_t{1} << 20;
/// From here on several ranges are fetched at once.
inline constexpr std::uint64_t parallel_from_bytes = std::uint64_t{64} << 20;
inline constexpr unsigned max_lanes = 4;
/// What an interrupted download loses at most, for each range under way.
inline constexpr std::uint64_t block_bytes = std::uint64_t{4} << 20;

/// Bytes [begin, end).
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const ByteRange&) const = default;
};

/// "bytes FIRST-LAST/TOTAL" of a 206. `total` is empty for "*". Source: RFC 9110, 14.4.
struct ContentRange {
  ByteRange range;
  std::optional<std::uint64_t> total;
};
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view text) noexcept;

/// How much to ask for at once: enough that round trips do not count, little enough that all lanes
/// work until the end. A multiple of the block.
[[nodiscard]] std::uint64_t range_bytes(std::uint64_t size_bytes, unsigned lanes) noexcept;

/// Which blocks of a blob are there. Text: "aipack-partial 1 SIZE BLOCK\n", then a digit for each
/// block, '1' when it is there.
class BlockMap {
public:
  explicit BlockMap(std::uint64_t size_bytes);
  /// Empty for anything that is not exactly the text of a map of a blob of this size.
  [[nodiscard]] static std::optional<BlockMap> parse(std::string_view text,
                                                     std::uint64_t size_bytes);
  [[nodiscard]] std::string to_string() const;
  /// Where the digit of a block stands in the text.
  [[nodiscard]] std::size_t digit_offset(std::size_t block) const;

  [[nodiscard]] std::size_t count() const noexcept { return states_.size(); }
  [[nodiscard]] ByteRange range_of(std::size_t block) const noexcept;
  [[nodiscard]] bool has(std::size_t block) const noexcept {
    return states_[block] == State::there;
  }
  void set(std::size_t block) noexcept { states_[block] = State::there; }
  [[nodiscard]] std::uint64_t bytes_there() const noexcept;

  /// The first stretch that is neither there nor claimed, up to `most` bytes long; it is claimed
  /// now. Empty: nothing is left to be claimed.
  [[nodiscard]] std::optional<ByteRange> claim(std::uint64_t most) noexcept;

private:
  enum class State : std::uint8_t { missing, claimed, there };
  [[nodiscard]] std::string header() const;
  std::uint64_t size_;
  std::vector<State> states_;
};

} // namespace aipack::registry
