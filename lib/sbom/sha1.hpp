#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace aipack::sbom {

/// A running SHA-1. Nothing is trusted because of it: SPDX 2.3 wants it beside the SHA-256.
class Sha1 {
public:
  Sha1();
  ~Sha1();
  Sha1(const Sha1&) = delete;
  Sha1& operator=(const Sha1&) = delete;
  void update(std::span<const std::byte> bytes);
  /// Of everything; nothing may be added afterwards.
  [[nodiscard]] std::string hex();

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace aipack::sbom
