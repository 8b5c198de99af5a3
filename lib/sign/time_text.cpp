#include "time_text.hpp"

#include "aipack/oci/document.hpp"

#include <ctime>

namespace aipack::sign {
std::string rfc3339(std::chrono::sys_seconds time) {
  return oci::rfc3339(time.time_since_epoch().count());
}

std::optional<std::chrono::sys_seconds> try_time(const ASN1_TIME* time) noexcept {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return std::nullopt;
  }
  return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&parts)));
}

} // namespace aipack::sign
