#include "aipack/registry/error.hpp"

#include <algorithm>

namespace aipack::registry {

RegistryError::RegistryError(ErrorCode code, std::string message, Answer answer, std::string hint)
    : Error(Error(code, std::move(message)).with_hint(std::move(hint))),
      answer_(std::move(answer)) {}

bool RegistryError::has(std::string_view fault_code) const noexcept {
  return std::ranges::any_of(answer_.faults,
                             [&](const Fault& fault) { return fault.code == fault_code; });
}

} // namespace aipack::registry
