#include "download_plan.hpp"

#include "aipack/core/text.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::registry {

std::optional<ContentRange> parse_content_range(std::string_view text) noexcept {
  text = trim(text);
  constexpr std::string_view unit = "bytes ";
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (!text.starts_with(unit) || dash == std::string_view::npos ||
      slash == std::string_view::npos || dash < unit.size() || slash < dash) {
    return std::nullopt;
  }
  const auto first = parse_decimal(trim(text.substr(unit.size(), dash - unit.size())));
  const auto last = parse_decimal(text.substr(dash + 1, slash - dash - 1));
  const std::string_view rest = text.substr(slash + 1);
  const auto total = parse_decimal(rest);
  if (!first || !last || *last < *first || *last == UINT64_MAX || (!total && rest != "*") ||
      (total && *last >= *total)) {
    return std::nullopt;
  }
  return ContentRange{{*first, *last + 1}, total};
}

std::uint64_t range_bytes(std::uint64_t size_bytes, unsigned lanes) noexcept {
  const std::uint64_t share = size_bytes / (std::uint64_t{4} * std::max(lanes, 1U));
  const std::uint64_t blocks = std::clamp<std::uint64_t>(share / block_bytes, 2, 16);
  return blocks * block_bytes;
}

BlockMap::BlockMap(std::uint64_t size_bytes)
    : size_(size_bytes), states_(static_cast<std::size_t>((size_bytes / block_bytes) +
                                                          (size_bytes % block_bytes != 0))) {}

std::string BlockMap::header() const {
  return fmt::format("aipack-partial 1 {} {}\n", size_, block_bytes);
}

std::optional<BlockMap> BlockMap::parse(std::string_view text, std::uint64_t size_bytes) {
  BlockMap map(size_bytes);
  const std::string header = map.header();
  if (!text.starts_with(header) || text.size() != header.size() + map.count()) {
    return std::nullopt;
  }
  for (std::size_t block = 0; block < map.count(); ++block) {
    const char digit = text[header.size() + block];
    if (digit == '1') {
      map.set(block);
    } else if (digit != '0') {
      return std::nullopt;
    }
  }
  return map;
}

std::string BlockMap::to_string() const {
  std::string text = header();
  for (const State state : states_) {
    text += state == State::there ? '1' : '0';
  }
  return text;
}

std::size_t BlockMap::digit_offset(std::size_t block) const {
  return header().size() + block;
}

ByteRange BlockMap::range_of(std::size_t block) const noexcept {
  const std::uint64_t begin = block * block_bytes;
  return {begin, begin + std::min(block_bytes, size_ - begin)};
}

std::uint64_t BlockMap::bytes_there() const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t block = 0; block < count(); ++block) {
    const ByteRange range = range_of(block);
    sum += has(block) ? range.end - range.begin : 0;
  }
  return sum;
}

std::optional<ByteRange> BlockMap::claim(std::uint64_t most) noexcept {
  const auto first = std::ranges::find(states_, State::missing);
  if (first == states_.end()) {
    return std::nullopt;
  }
  const auto begin = static_cast<std::size_t>(first - states_.begin());
  std::size_t end = begin;
  while (end < count() && states_[end] == State::missing &&
         range_of(end).end - range_of(begin).begin <= most) {
    states_[end++] = State::claimed;
  }
  return ByteRange{range_of(begin).begin, range_of(end - 1).end};
}

} // namespace aipack::registry
