#pragma once

#include "aipack/http/message.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace aipack::http {

/// The body of a request on its way out: as many bytes as were announced, or an error before the
/// last of them is given away, so that a server never takes a wrong body for a whole one.
class Upload {
public:
  explicit Upload(const Request& request) noexcept : request_(request) {}

  /// Fills the front of `into`; 0 means the end. Throws Error{io} for a body that ends early,
  /// Error{internal} for one that does not end, and what the source throws.
  [[nodiscard]] std::size_t read(std::span<std::byte> into);
  /// The next read starts over. Throws Error{unavailable} where the request must not be repeated.
  void rewind();

  [[nodiscard]] std::uint64_t read_bytes() const noexcept { return at_; }
  [[nodiscard]] bool finished() const noexcept { return finished_; }

private:
  const Request& request_;
  std::unique_ptr<io::ByteSource> source_{};
  std::uint64_t at_ = 0;
  bool finished_ = false;
};

} // namespace aipack::http
