#pragma once

#include "aipack/core/error.hpp"
#include "aipack/io/byte_stream.hpp"

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace aipack::test {

/// Bytes in memory as a file, which counts how many of them were asked for.
class MemoryAccess final : public io::RandomAccess {
public:
  explicit MemoryAccess(std::string bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    if (offset > bytes_.size() || into.size() > bytes_.size() - offset) {
      throw Error(ErrorCode::corrupt, "cannot read memory: it ends here");
    }
    std::memcpy(into.data(), bytes_.data() + offset, into.size());
    bytes_read_ += into.size();
  }
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }

private:
  std::string bytes_;
  mutable std::uint64_t bytes_read_ = 0;
};

} // namespace aipack::test
