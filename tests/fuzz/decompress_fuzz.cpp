// Every decompressor, both by its own name and by the magic bytes. Small pieces on both sides reach
// every state of the inner loops.
#include "aipack/codec/compression.hpp"
#include "aipack/core/error.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr std::uint64_t max_bytes = std::uint64_t{1} << 20;

/// Delivers a few bytes at a time.
class Trickle final : public aipack::io::ByteSource {
public:
  Trickle(std::span<const std::byte> bytes, std::size_t piece) : rest_(bytes), piece_(piece) {}
  std::size_t read(std::span<std::byte> into) override {
    const std::size_t count = std::min({piece_, rest_.size(), into.size()});
    std::copy_n(rest_.begin(), count, into.begin());
    rest_ = rest_.subspan(count);
    return count;
  }

private:
  std::span<const std::byte> rest_;
  std::size_t piece_;
};

void drain(aipack::io::ByteSource& source) {
  std::array<std::byte, 1000> buffer{};
  std::uint64_t total = 0;
  while (const std::size_t count = source.read(buffer)) {
    total += count;
    if (count > buffer.size() || total > max_bytes) {
      std::abort();
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using aipack::codec::Encoding;
  const auto bytes = std::as_bytes(std::span(data, size));
  const std::size_t piece = size % 7 == 0 ? 1 : size;
  try {
    drain(*aipack::codec::make_decompressor(std::make_unique<Trickle>(bytes, piece), max_bytes,
                                            "input"));
  } catch (const aipack::Error& error) {
    if (error.code() != aipack::ErrorCode::corrupt) {
      std::abort();
    }
  }
  for (const Encoding encoding :
       {Encoding::gzip, Encoding::xz, Encoding::zstd, Encoding::bzip2, Encoding::lzma}) {
    try {
      drain(*aipack::codec::make_decompressor(encoding, std::make_unique<Trickle>(bytes, piece),
                                              max_bytes, "input"));
    } catch (const aipack::Error& error) {
      if (error.code() != aipack::ErrorCode::corrupt) {
        std::abort();
      }
    }
  }
  return 0;
}
