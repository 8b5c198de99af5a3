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

/// A layer's tar with the end that it may lack: Go's tar reader takes an archive that stops after
/// its last member, so tools exist that write none (umoci before 0.5), neither padding nor zero
/// blocks. Content is never made up: whoever reads members compares their ends with `real_bytes()`.
class CompletedTar final : public io::ByteSource {
public:
  explicit CompletedTar(std::unique_ptr<io::ByteSource> source) noexcept
      : source_(std::move(source)) {}
  std::size_t read(std::span<std::byte> into) override;
  /// Bytes that the source has given so far.
  [[nodiscard]] std::uint64_t real_bytes() const noexcept { return real_bytes_; }

private:
  std::unique_ptr<io::ByteSource> source_;
  std::uint64_t real_bytes_ = 0;
  std::uint64_t zeros_left_ = 0;
  bool ended_ = false;
};

} // namespace aipack::image
