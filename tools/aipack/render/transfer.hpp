#pragma once

#include "aipack/transfer/copy.hpp"
#include "aipack/transfer/load.hpp"

#include "render/json.hpp"

#include <string>

namespace aipack::cli {

/// "sent 3 blobs (10.4 MB), 1 was there, 6 requests", and the notes.
[[nodiscard]] std::string render(const transfer::CopyReport& report, double seconds);
/// The one line of it that a build prints below its table.
[[nodiscard]] std::string transfer_summary(const transfer::CopyReport& report);
[[nodiscard]] Json to_json(const transfer::CopyReport& report);
[[nodiscard]] Json to_json(const transfer::LoadReport& report);
[[nodiscard]] Json to_json(const std::vector<transfer::Attachment>& attached);

} // namespace aipack::cli
