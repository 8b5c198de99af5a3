#pragma once

#include "aipack/core/operation.hpp"
#include "aipack/io/byte_stream.hpp"

#include <string>
#include <vector>

namespace aipack::transfer {

/// Runs a program, without a shell, feeds it `input` and returns what it printed. `command` is its
/// absolute path and its arguments. When `input` fails or the caller wishes to stop, the program
/// sees the end of its input, and is ended when it does not go by itself. Throws Error{io} with the
/// program's own words when it fails, Error{not_found} when it cannot be started.
[[nodiscard]] std::string run_program(const std::vector<std::string>& command,
                                      io::ByteSource& input, const Operation& op);

} // namespace aipack::transfer
