#pragma once

#include "element_type.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace aipack::serve {

/// Most dimensions of a tensor in a request.
inline constexpr std::size_t max_rank = 32;

/// Raw memory of a tensor: its own, aligned to 64 bytes as ONNX Runtime's kernels like it, or
/// memory that something else keeps.
class Buffer {
public:
  Buffer() = default;
  /// Uninitialised memory; `size` may be 0. Throws std::bad_alloc.
  [[nodiscard]] static Buffer allocate(std::size_t size);
  /// Memory that lives as long as `owner`.
  [[nodiscard]] static Buffer share(std::shared_ptr<void> owner, std::byte* data,
                                    std::size_t size) {
    return Buffer(std::shared_ptr<std::byte>(std::move(owner), data), size);
  }

  [[nodiscard]] std::byte* data() noexcept { return data_.get(); }
  [[nodiscard]] const std::byte* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_.get(), size_}; }

private:
  Buffer(std::shared_ptr<std::byte> data, std::size_t size) : data_(std::move(data)), size_(size) {}

  std::shared_ptr<std::byte> data_;
  std::size_t size_ = 0;
};

using Shape = std::vector<std::int64_t>;

/// A named tensor. Shape is outermost first, sizes in elements; elements are row-major and
/// little-endian. 4-bit integers are packed two a byte, the first one in the low half. Strings
/// (ElementType::bytes) stand in `strings`, everything else in `buffer`.
struct Tensor {
  std::string name;
  ElementType element_type = ElementType::undefined;
  Shape shape;
  Buffer buffer;
  std::vector<std::string> strings;
  /// Members of the JSON object "parameters" that go out with this tensor, "" for none:
  /// `"keys":"[0,1]"`.
  std::string parameters;
};

/// Number of elements of a shape, 1 for a scalar; empty when a size is negative or the product
/// passes 2^48 (so that byte counts of every type fit 64 bits).
[[nodiscard]] std::optional<std::uint64_t>
element_count(std::span<const std::int64_t> shape) noexcept;

/// Bytes that `count` elements of a fixed-size type take in memory. REQUIRES: count from
/// element_count, type not bytes.
[[nodiscard]] std::uint64_t byte_count(ElementType type, std::uint64_t count) noexcept;

/// "[2, 3]"
[[nodiscard]] std::string to_string(std::span<const std::int64_t> shape);

} // namespace aipack::serve
