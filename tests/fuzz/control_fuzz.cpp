// Control files: paragraphs that parse print text that parses to the same paragraphs.
#include "aipack/core/error.hpp"
#include "aipack/deb/control.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<aipack::deb::Paragraph> paragraphs;
  try {
    paragraphs = aipack::deb::parse_control(text, "fuzz");
  } catch (const aipack::FormatError&) {
    return 0;
  }
  for (const auto& paragraph : paragraphs) {
    const auto again = aipack::deb::parse_control(paragraph.to_string(), "again");
    if (again.size() != 1 || again.front().fields() != paragraph.fields()) {
      std::abort();
    }
  }
  return 0;
}
