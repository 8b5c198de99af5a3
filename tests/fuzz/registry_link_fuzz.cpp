// Any bytes as a Link header: the next page is on the registry's own origin, or there is none.
#include "aipack/core/error.hpp"

#include "../../lib/registry/link_header.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

using namespace aipack;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string header(reinterpret_cast<const char*>(data), size);
  if (registry::parse_links(header).size() > registry::max_links) {
    std::abort();
  }
  const auto origin = http::Origin::of("https://r.example");
  registry::Pages pages(origin, "/v2/a/tags/list?n=1000", "list");
  try {
    const http::Response response{.status = 200, .url = {}, .headers = {{"Link", header}}};
    for (int page = 0; page < 3 && pages.advance(response); ++page) {
      if (http::Origin::try_of(pages.url()) != origin) {
        std::abort();
      }
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) {
      std::abort();
    }
  }
  return 0;
}
