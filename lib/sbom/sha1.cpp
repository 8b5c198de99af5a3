#include "sha1.hpp"

#include "aipack/core/error.hpp"
#include "aipack/io/byte_stream.hpp"

#include "verification_code.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace aipack::sbom {

struct Sha1::State {
  struct Deleter {
    void operator()(EVP_MD_CTX* owned) const noexcept { EVP_MD_CTX_free(owned); }
  };
  std::unique_ptr<EVP_MD_CTX, Deleter> context{EVP_MD_CTX_new()};
};

Sha1::Sha1() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), EVP_sha1(), nullptr) != 1) {
    throw Error(ErrorCode::internal, "cannot compute a SHA-1 checksum: OpenSSL refuses it");
  }
}

Sha1::~Sha1() = default;

void Sha1::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size());
}

std::string Sha1::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += fmt::format("{:02x}", digest[i]);
  }
  return text;
}

std::string verification_code(const std::vector<File>& files) {
  std::vector<std::string> codes;
  for (const auto& file : files) {
    codes.push_back(file.checksums->sha1);
  }
  std::ranges::sort(codes);
  Sha1 all;
  for (const auto& code : codes) {
    all.update(io::as_bytes(code));
  }
  return all.hex();
}

} // namespace aipack::sbom
