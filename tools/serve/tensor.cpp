#include "tensor.hpp"

#include <bit>
#include <cstdlib>
#include <new>

namespace aipack::serve {

// Tensors go to and from the wire as they are in memory, and the protocol says little-endian.
static_assert(std::endian::native == std::endian::little);

Buffer Buffer::allocate(std::size_t size) {
  constexpr std::size_t alignment = 64;
  if (size > SIZE_MAX - alignment) {
    throw std::bad_alloc();
  }
  // aligned_alloc wants a multiple of the alignment; an empty tensor still needs an address of its
  // own.
  const std::size_t rounded = (size / alignment + 1) * alignment;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
  if (data == nullptr) {
    throw std::bad_alloc();
  }
  return Buffer(std::shared_ptr<std::byte>(data, [](std::byte* p) { std::free(p); }), size);
}

std::optional<std::uint64_t> element_count(std::span<const std::int64_t> shape) noexcept {
  constexpr std::uint64_t limit = std::uint64_t{1} << 48U;
  std::uint64_t count = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) {
      return std::nullopt;
    }
    if (size == 0) {
      empty = true; // but the other sizes are still looked at: a wrong one is an error even then
      continue;
    }
    if (count > limit / static_cast<std::uint64_t>(size)) {
      return std::nullopt;
    }
    count *= static_cast<std::uint64_t>(size);
  }
  return empty ? 0 : count;
}

std::uint64_t byte_count(ElementType type, std::uint64_t count) noexcept {
  const std::uint64_t bits = element_bits(type);
  return bits < 8 ? (count * bits + 7) / 8 : count * (bits / 8);
}

std::string to_string(std::span<const std::int64_t> shape) {
  std::string out = "[";
  for (const std::int64_t size : shape) {
    if (out.size() > 1) {
      out += ", ";
    }
    out += std::to_string(size);
  }
  return out + "]";
}

} // namespace aipack::serve
