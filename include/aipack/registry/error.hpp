#pragma once

#include "aipack/core/error.hpp"
#include "aipack/core/export.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

/// One entry of an error answer. Source: distribution-spec 1.1, "Error Codes".
struct Fault {
  std::string code;    ///< "MANIFEST_UNKNOWN", as the registry wrote it; cut to 64 bytes
  std::string message; ///< printable, at most 512 bytes
  std::string detail;  ///< JSON text, at most 1024 bytes; may be empty
  bool operator==(const Fault&) const = default;
};

/// What a registry said. The message names the object, the registry's own words, the method and the
/// redacted URL, the request id and how often it was tried; the hint says what to do.
class AIPACK_API RegistryError : public Error {
public:
  struct Answer {
    std::string method;
    std::string url; ///< without user info and query
    int status = 0;  ///< 0: no answer came
    std::vector<Fault> faults{};
    std::string request_id{}; ///< of X-Request-Id and its relatives; may be empty
    unsigned tries = 1;
  };
  RegistryError(ErrorCode code, std::string message, Answer answer, std::string hint = {});

  [[nodiscard]] const Answer& answer() const noexcept { return answer_; }
  /// True when the registry named this code.
  [[nodiscard]] bool has(std::string_view fault_code) const noexcept;

private:
  Answer answer_;
};

} // namespace aipack::registry
