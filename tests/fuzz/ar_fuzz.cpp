// read_ar over any bytes: members that lie inside the file, or a FormatError.
#include "aipack/archive/ar_reader.hpp"
#include "aipack/core/error.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>

using namespace aipack;

namespace {

class Input final : public io::RandomAccess {
public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(std::as_bytes(bytes)) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    if (offset > bytes_.size() || into.size() > bytes_.size() - offset) {
      std::abort(); // the reader knows the size and must not ask for more
    }
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  }

private:
  std::span<const std::byte> bytes_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    for (const auto& member : archive::read_ar(Input({data, size}), "fuzz.ar")) {
      if (member.name.empty() || member.offset > size || member.size > size - member.offset) {
        std::abort();
      }
    }
  } catch (const FormatError&) {
    // the expected end of most inputs
  }
  return 0;
}
