#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <openssl/evp.h>

namespace aipack::test {

/// sha256 or sha512 of a stream. A copy continues on its own, so a session can go back to where it
/// was before a chunk.
class Hasher {
public:
  explicit Hasher(std::string_view algorithm) : algorithm_(algorithm), context_(EVP_MD_CTX_new()) {
    const EVP_MD* type = algorithm == "sha512" ? EVP_sha512() : EVP_sha256();
    check(context_ && EVP_DigestInit_ex(context_.get(), type, nullptr) == 1);
  }
  Hasher(const Hasher& other) : algorithm_(other.algorithm_), context_(EVP_MD_CTX_new()) {
    check(context_ && EVP_MD_CTX_copy_ex(context_.get(), other.context_.get()) == 1);
  }
  Hasher& operator=(const Hasher& other) {
    Hasher copy(other);
    std::swap(algorithm_, copy.algorithm_);
    std::swap(context_, copy.context_);
    return *this;
  }
  Hasher(Hasher&&) noexcept = default;
  Hasher& operator=(Hasher&&) noexcept = default;
  ~Hasher() = default;

  [[nodiscard]] const std::string& algorithm() const noexcept { return algorithm_; }
  void update(std::string_view bytes) {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  /// "sha256:…" of what was added so far; more can follow.
  [[nodiscard]] std::string digest() const {
    const Hasher last(*this);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    check(EVP_DigestFinal_ex(last.context_.get(), bytes, &length) == 1);
    static constexpr char digits[] = "0123456789abcdef";
    std::string out = algorithm_ + ":";
    for (unsigned i = 0; i < length; ++i) {
      out += {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
    }
    return out;
  }
  static std::string of(std::string_view algorithm, std::string_view bytes) {
    Hasher hasher(algorithm);
    hasher.update(bytes);
    return hasher.digest();
  }

private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };
  static void check(bool good) {
    if (!good) {
      throw std::runtime_error("OpenSSL cannot compute a digest");
    }
  }
  std::string algorithm_;
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

} // namespace aipack::test
