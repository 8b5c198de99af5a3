#include "aipack/core/version.hpp"

namespace aipack {

std::string_view version() noexcept {
  return AIPACK_VERSION;
}

} // namespace aipack
