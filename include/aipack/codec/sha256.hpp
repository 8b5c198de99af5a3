#pragma once

#include "aipack/core/export.hpp"
#include "aipack/io/byte_stream.hpp"
#include "aipack/oci/digest.hpp"

#include <memory>
#include <span>

namespace aipack::codec {

/// A running SHA-256 (OpenSSL EVP: SHA-NI or ARMv8 instructions where the CPU has them).
class AIPACK_API Sha256 {
public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  /// A copy of the state: two streams with a common prefix hash it once.
  Sha256(const Sha256&);
  Sha256& operator=(const Sha256&);
  void update(std::span<const std::byte> bytes);
  /// The digest of everything so far; may go on afterwards.
  [[nodiscard]] oci::Digest digest() const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Passes bytes on and hashes them.
class AIPACK_API HashingSink final : public io::ByteSink {
public:
  explicit HashingSink(io::ByteSink& next) noexcept : next_(next) {}
  void write(std::span<const std::byte> bytes) override;
  [[nodiscard]] oci::Digest digest() const { return hash_.digest(); }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

private:
  io::ByteSink& next_;
  Sha256 hash_;
  std::uint64_t size_ = 0;
};

/// A source that cannot deliver wrong bytes unnoticed: the read that reaches the end throws
/// Error{corrupt} when size or digest differ, and it never delivers more than `size_bytes`.
class AIPACK_API VerifyingSource final : public io::ByteSource {
public:
  VerifyingSource(std::unique_ptr<io::ByteSource> source, oci::Digest digest,
                  std::uint64_t size_bytes, std::string name);
  std::size_t read(std::span<std::byte> into) override;

private:
  std::unique_ptr<io::ByteSource> source_;
  oci::Digest digest_;
  std::uint64_t rest_;
  std::uint64_t size_;
  std::string name_;
  Sha256 hash_;
  bool verified_ = false;
};

/// Reads all of `source`.
[[nodiscard]] AIPACK_API oci::Digest sha256(io::ByteSource& source, const Operation& op);

} // namespace aipack::codec
