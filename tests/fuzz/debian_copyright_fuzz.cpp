#include "aipack/license/debian.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack::license;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto license = read_debian_copyright(text, "demo");
  // Whatever comes in: a valid expression, and a text for each of its references.
  if (try_parse_expression(license.expression) != license.expression) {
    std::abort();
  }
  for (const auto& reference : references_of(license.expression)) {
    if (!license.texts.contains(reference)) {
      std::abort();
    }
  }
  const auto words = from_words(text);
  if (words.expression != no_assertion &&
      try_parse_expression(words.expression) != words.expression) {
    std::abort();
  }
  return 0;
}
