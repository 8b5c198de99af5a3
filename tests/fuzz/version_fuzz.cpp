// deb::Version: what parses prints back, and the order is one.
#include "aipack/deb/version.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using aipack::deb::Version;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t middle = text.find('\n');
  const auto a = Version::try_parse(text.substr(0, middle));
  const auto b =
      Version::try_parse(middle == std::string_view::npos ? text : text.substr(middle + 1));
  if (a &&
      (a->to_string() != text.substr(0, middle) || *a != *Version::try_parse(a->to_string()))) {
    std::abort();
  }
  if (a && b && ((*a < *b) != (*b > *a) || (*a == *b) != (*b == *a) || (*a < *b && *a == *b))) {
    std::abort();
  }
  return 0;
}
