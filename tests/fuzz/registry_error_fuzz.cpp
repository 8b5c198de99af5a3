// Any bytes as the body and the header of an answer that is refused: an explanation that can be
// printed on a terminal, of bounded size.
#include "aipack/core/text.hpp"

#include "../../lib/registry/explain_body.hpp"
#include "../../lib/registry/session.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace aipack;

namespace {

void require_printable(std::string_view text) {
  const bool has_controls = std::any_of(text.begin(), text.end(),
                                        [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; });
  if (has_controls || !is_utf8(text)) {
    std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view line = input.substr(0, input.find('\n'));
  registry::Call call;
  call.verb = "read it";
  for (const int status : {200, 400, 401, 403, 404, 429, 500}) {
    const http::Response response{.status = status,
                                  .url = "https://r.example/v2/",
                                  .headers = {{"Content-Type", std::string(line)},
                                              {"X-Request-Id", std::string(line)},
                                              {"Retry-After", std::string(line)}},
                                  .body = std::string(input)};
    const registry::RegistryError error = registry::explain(call, response, 2);
    require_printable(error.message());
    require_printable(error.hint());
    if (error.answer().faults.size() > registry::max_faults || error.message().size() > 8192) {
      std::abort();
    }
    for (const registry::Fault& fault : error.answer().faults) {
      require_printable(fault.code);
      require_printable(fault.message);
      require_printable(fault.detail);
      if (fault.code.size() > registry::max_fault_code ||
          fault.message.size() > registry::max_fault_message ||
          fault.detail.size() > registry::max_fault_detail) {
        std::abort();
      }
    }
  }
  return 0;
}
