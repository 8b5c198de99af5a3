#include "aipack/sign/secret.hpp"

#include <algorithm>
#include <utility>

#include <openssl/crypto.h>

namespace aipack::sign {

Secret::Secret(std::string_view text)
    : bytes_(text.empty() ? nullptr : std::make_unique<char[]>(text.size())), size_(text.size()) {
  std::copy(text.begin(), text.end(), bytes_.get());
}

Secret::Secret(std::string&& text) : Secret(std::string_view(text)) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

Secret::Secret(Secret&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe();
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Secret::~Secret() {
  wipe();
}

void Secret::wipe() noexcept {
  if (bytes_ != nullptr) {
    OPENSSL_cleanse(bytes_.get(), size_);
  }
  bytes_.reset();
  size_ = 0;
}

} // namespace aipack::sign
