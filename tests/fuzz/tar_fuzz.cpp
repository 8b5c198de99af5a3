// TarReader over any bytes: a walk or a FormatError, never more memory than the limits allow. Each
// input runs twice, the second time with the checksums of its headers repaired: mutations would
// otherwise rarely get past them.
#include "aipack/archive/tar_reader.hpp"
#include "aipack/core/error.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

using namespace aipack;

namespace {

void walk(const std::string& bytes) {
  try {
    archive::TarReader reader(std::make_unique<io::MemorySource>(io::as_bytes(bytes)), "fuzz.tar",
                              {.max_entries = 1000, .max_entry_bytes = 1 << 20});
    while (const auto member = reader.next()) {
      io::NullSink sink;
      const auto copied = io::copy(reader.content(), sink, {});
      const bool inside = member->data_offset + member->size <= bytes.size();
      if (copied != member->size || !inside || member->mode > 07777) {
        std::abort();
      }
    }
  } catch (const FormatError&) {
    // the expected end of most inputs
  }
}

std::string with_checksums(std::string bytes) {
  for (std::size_t at = 0; at + 512 <= bytes.size(); at += 512) {
    if (bytes.compare(at + 257, 5, "ustar") == 0) {
      bytes.replace(at + 148, 8, "        ");
      unsigned sum = 0;
      for (std::size_t i = at; i < at + 512; ++i) {
        sum += static_cast<unsigned char>(bytes[i]);
      }
      for (std::size_t digit = 7; digit-- > 0; sum /= 8) {
        bytes[at + 148 + digit] = static_cast<char>('0' + sum % 8);
      }
    }
  }
  return bytes;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  walk(bytes);
  walk(with_checksums(bytes));
  return 0;
}
