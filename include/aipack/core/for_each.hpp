#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace aipack {

/// Calls `fn(index, op)` for every index below `count` on at most `limit` threads (the caller's is
/// one of them), and joins before it returns. The first failure asks the others to stop; the error
/// of the lowest index is rethrown, a cancellation only when nothing else failed.
AIPACK_API void for_each_index(std::size_t count, unsigned limit, const Operation& op,
                               const std::function<void(std::size_t, const Operation&)>& fn);

/// The same over a range with random access: `fn(element, op)`.
template <class Items, class Fn>
void for_each(Items&& items, unsigned limit, const Operation& op, Fn&& fn) {
  for_each_index(items.size(), limit, op,
                 [&](std::size_t index, const Operation& inner) { fn(items[index], inner); });
}

/// Results in the order of the items, whatever order they were computed in.
template <class Result, class Items, class Fn>
std::vector<Result> map_each(const Items& items, unsigned limit, const Operation& op, Fn&& fn) {
  std::vector<std::optional<Result>> slots(items.size());
  for_each_index(items.size(), limit, op, [&](std::size_t index, const Operation& inner) {
    slots[index].emplace(fn(items[index], inner));
  });
  std::vector<Result> results;
  results.reserve(slots.size());
  for (auto& slot : slots) {
    results.push_back(std::move(*slot));
  }
  return results;
}

/// How many threads pay on this machine: the affinity mask, at least 1.
AIPACK_API unsigned default_concurrency() noexcept;

} // namespace aipack
