#pragma once

#include "aipack/core/operation.hpp"

#include <memory>
#include <string_view>

namespace aipack::cli {

/// Shows progress on stderr.
struct ProgressRenderer : ProgressSink {
  /// Takes its lines off the terminal; later events are dropped.
  virtual void finish() noexcept = 0;
};

/// `mode`: "auto" (a terminal gets live lines, anything else plain ones), "tty", "plain", "none".
/// Plain lines name what ended; with `verbose` every small step too.
[[nodiscard]] std::unique_ptr<ProgressRenderer> make_renderer(std::string_view mode,
                                                              unsigned verbose);

} // namespace aipack::cli
