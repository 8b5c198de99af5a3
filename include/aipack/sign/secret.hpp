#pragma once

#include "aipack/core/export.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace aipack::sign {

/// Text that is wiped from memory when it is no longer needed: a password, a private key. Move
/// only. Compare and print are left out on purpose.
class AIPACK_API Secret {
public:
  Secret() = default;
  /// A copy; whoever owns `text` wipes it.
  explicit Secret(std::string_view text);
  /// Takes over the content and wipes `text` itself.
  explicit Secret(std::string&& text);
  explicit Secret(const char* text) : Secret(std::string_view(text)) {}
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  [[nodiscard]] std::string_view view() const noexcept {
    return {size_ == 0 ? "" : bytes_.get(), size_};
  }

private:
  void wipe() noexcept;
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

/// Asked for a password only when one is needed, at most once per key; what it returns is wiped.
/// An empty text is a valid password.
using PasswordSource = std::function<std::string()>;

} // namespace aipack::sign
