// Answers of time-stamping authorities: nobody is trusted, so nothing may be accepted.
#include "aipack/core/error.hpp"
#include "aipack/sign/timestamp.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack::sign;
  const std::string der(reinterpret_cast<const char*>(data), size);
  static const auto request = TimestampRequest::make("message");
  const auto check = [](auto accept) {
    try {
      accept();
      std::abort();
    } catch (const aipack::Error& error) {
      if (error.code() == aipack::ErrorCode::internal) {
        std::abort();
      }
    }
  };
  check([&] { (void)check_timestamp_response(request, der); });
  check([&] { (void)verify_timestamp(der, "message", {}); });
  return 0;
}
