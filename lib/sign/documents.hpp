#pragma once

#include "aipack/sign/envelope.hpp"

#include "json.hpp"

/// Parts that several documents share.
namespace aipack::sign {

[[nodiscard]] nlohmann::ordered_json envelope_json(const Envelope& envelope);
[[nodiscard]] Envelope read_envelope(const JsonField& field);

} // namespace aipack::sign
