#pragma once

#include "aipack/archive/tar_reader.hpp"

#include <functional>
#include <memory>
#include <string>

namespace aipack::image {

/// Opens a plain tar at an offset of it.
using OpenAt = std::function<std::unique_ptr<io::ByteSource>(std::uint64_t offset)>;

/// Payloads larger than this are stepped over by opening the tar anew behind them, not by reading.
inline constexpr std::uint64_t skip_by_reading_bytes = std::uint64_t{64} << 10;

/// Calls `visit` for every member of a tar that can be opened anywhere; `data_offset` counts from
/// the start of the tar. Reads headers only. Throws as TarReader does.
void walk_headers(const OpenAt& open, const std::string& name, const archive::TarLimits& limits,
                  const Operation& op, const std::function<void(const archive::TarMember&)>& visit);

} // namespace aipack::image
