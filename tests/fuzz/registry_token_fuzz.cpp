// Any bytes as the answer of a token server: a token that a header can hold, or an error that
// quotes nothing of it.
#include "aipack/core/error.hpp"

#include "../../lib/registry/auth_token.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace aipack::registry;

/// A marker that seeds carry in their token: it must not show up in any message.
constexpr std::string_view secret = "hunter2";

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const TokenAnswer answer = parse_token_answer({reinterpret_cast<const char*>(data), size});
    const std::string& token = answer.token.reveal();
    const bool is_plain = std::all_of(token.begin(), token.end(),
                                      [](unsigned char c) { return c > ' ' && c != 0x7f; });
    if (token.empty() || !is_plain || answer.lifetime < std::chrono::seconds(1) ||
        answer.lifetime > max_token_lifetime) {
      std::abort();
    }
  } catch (const aipack::Error& error) {
    if (error.message().find(secret) != std::string::npos) {
      std::abort();
    }
  }
  return 0;
}
