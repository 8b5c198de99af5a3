#pragma once

#include "aipack/image/split.hpp"

#include <string>

namespace aipack::build {

/// Which layer a file belongs to, by how rarely it changes: the C library and the skeleton that
/// every image shares; the runtime's own packages and what is computed from them; the server and
/// the record of the composition; the user's files.
[[nodiscard]] image::PurposeOf purpose_of(const std::string& server_path);

} // namespace aipack::build
