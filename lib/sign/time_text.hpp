#pragma once

#include "aipack/oci/document.hpp"

#include <chrono>
#include <optional>
#include <string>

#include <openssl/asn1.h>

namespace aipack::sign {

using oci::try_rfc3339;
[[nodiscard]] std::string rfc3339(std::chrono::sys_seconds time);
[[nodiscard]] std::optional<std::chrono::sys_seconds> try_time(const ASN1_TIME* time) noexcept;

} // namespace aipack::sign
