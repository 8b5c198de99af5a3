#include "aipack/core/suggest.hpp"

#include <algorithm>
#include <vector>

namespace aipack {

namespace {

/// Words longer than this are no typos of ours; it also bounds the work.
constexpr std::size_t max_word_bytes = 256;

/// Levenshtein distance in one row of memory.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row.back();
}

} // namespace

std::string nearest_word(std::string_view typed, std::span<const std::string> known) {
  std::size_t best = std::max<std::size_t>(2, typed.size() / 3) + 1;
  std::string_view word;
  if (typed.size() > max_word_bytes) {
    return {};
  }
  for (const auto& candidate : known) {
    if (candidate.size() <= max_word_bytes) {
      if (const auto distance = edit_distance(typed, candidate); distance < best) {
        best = distance;
        word = candidate;
      }
    }
  }
  return std::string(word);
}

} // namespace aipack
