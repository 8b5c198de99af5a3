#include "aipack/codec/sha256.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include <openssl/evp.h>

namespace aipack::codec {
namespace {

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_MD_CTX, ContextDeleter>;

/// OpenSSL fails here only without memory or with a broken provider configuration.
void require(bool holds) {
  if (!holds) {
    throw Error(ErrorCode::internal, "cannot compute SHA-256: OpenSSL refused");
  }
}

ContextPtr copy_of(const EVP_MD_CTX* from) {
  ContextPtr context{EVP_MD_CTX_new()};
  require(context && EVP_MD_CTX_copy_ex(context.get(), from) == 1);
  return context;
}

} // namespace

struct Sha256::State {
  ContextPtr context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  state_->context.reset(EVP_MD_CTX_new());
  require(state_->context && EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256::Sha256(const Sha256& other)
    : state_(std::make_unique<State>(State{copy_of(other.state_->context.get())})) {}

Sha256& Sha256::operator=(const Sha256& other) {
  if (this != &other) {
    *this = Sha256(other);
  }
  return *this;
}

void Sha256::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

oci::Digest Sha256::digest() const {
  // Finishing ends a context, so a copy of it is finished.
  const ContextPtr context = copy_of(state_->context.get());
  oci::Digest::Bytes out{};
  unsigned length = 0;
  require(EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(out.data()),
                             &length) == 1 &&
          length == out.size());
  return oci::Digest::from_bytes(out);
}

void HashingSink::write(std::span<const std::byte> bytes) {
  hash_.update(bytes);
  next_.write(bytes);
  size_ += bytes.size();
}

VerifyingSource::VerifyingSource(std::unique_ptr<io::ByteSource> source, oci::Digest digest,
                                 std::uint64_t size_bytes, std::string name)
    : source_(std::move(source)), digest_(digest), rest_(size_bytes), size_(size_bytes),
      name_(std::move(name)) {}

std::size_t VerifyingSource::read(std::span<std::byte> into) {
  if (verified_) {
    return 0;
  }
  std::size_t count = 0;
  if (rest_ > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), rest_));
    count = source_->read(into.first(wanted));
    if (count == 0) {
      throw Error(ErrorCode::corrupt, "cannot read " + quoted(name_) + ": it ends after " +
                                          std::to_string(size_ - rest_) + " of " +
                                          std::to_string(size_) + " bytes");
    }
    hash_.update(into.first(count));
    rest_ -= count;
  }
  if (rest_ == 0) {
    // Checked before the last bytes are handed out: whoever stops at the known size has a verified
    // copy too.
    std::array<std::byte, 1> beyond{};
    if (source_->read(beyond) != 0) {
      throw Error(ErrorCode::corrupt, "cannot read " + quoted(name_) + ": it is longer than " +
                                          std::to_string(size_) + " bytes");
    }
    if (const oci::Digest actual = hash_.digest(); actual != digest_) {
      throw Error(ErrorCode::corrupt, "cannot read " + quoted(name_) + ": its digest is " +
                                          actual.to_string() + ", not " + digest_.to_string());
    }
    verified_ = true;
  }
  return count;
}

oci::Digest sha256(io::ByteSource& source, const Operation& op) {
  Sha256 hash;
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(io::copy_buffer_bytes);
  const std::span buffer(memory.get(), io::copy_buffer_bytes);
  while (const std::size_t count = source.read(buffer)) {
    op.check();
    hash.update(buffer.first(count));
  }
  return hash.digest();
}

} // namespace aipack::codec
