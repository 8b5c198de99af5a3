#include "aipack/codec/compression.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <optional>
#include <vector>

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

namespace aipack::codec {
namespace {

constexpr std::uint64_t max_lzma_memory_bytes = std::uint64_t{256} << 20;
constexpr int max_zstd_window_log = 27; // 128 MiB
constexpr std::size_t input_bytes = std::size_t{256} << 10;
constexpr std::size_t max_magic_bytes = 6;

/// What one call of a codec did.
struct Step {
  std::size_t consumed = 0;
  std::size_t produced = 0;
};

/// Thrown inside this file only; the source that owns the decoder adds name and place.
struct DecodeFailure {
  std::string cause;
};

/// A codec's inner loop. `is_complete()`: the input may end here.
struct Decoder {
  virtual ~Decoder() = default;
  virtual Step step(std::span<const std::byte> in, std::span<std::byte> out, bool is_last) = 0;
  [[nodiscard]] virtual bool is_complete() const noexcept = 0;
};

constexpr std::string_view trailing_garbage = "other bytes follow the end of the compressed data";
constexpr std::string_view damaged = "its compressed data is damaged";

class PlainDecoder final : public Decoder {
public:
  Step step(std::span<const std::byte> in, std::span<std::byte> out, bool) override {
    const std::size_t count = std::min(in.size(), out.size());
    std::copy_n(in.begin(), count, out.begin());
    return {count, count};
  }
  [[nodiscard]] bool is_complete() const noexcept override { return true; }
};

/// zlib and libbz2 count in unsigned int.
unsigned clamped(std::size_t size) noexcept {
  return static_cast<unsigned>(std::min<std::size_t>(size, 1U << 30));
}

/// RFC 1952: a file is one or more members.
class GzipDecoder final : public Decoder {
public:
  GzipDecoder() {
    constexpr int gzip_only = 15 + 16;
    if (inflateInit2(&stream_, gzip_only) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~GzipDecoder() override { inflateEnd(&stream_); }
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;

  Step step(std::span<const std::byte> in, std::span<std::byte> out, bool) override {
    if (in.empty()) {
      return {};
    }
    if (member_ended_) {
      inflateReset(&stream_);
      member_ended_ = false;
    }
    const unsigned in_size = clamped(in.size());
    const unsigned out_size = clamped(out.size());
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    stream_.avail_in = in_size;
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = out_size;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      member_ended_ = true;
      any_member_ = true;
    } else if (result == Z_DATA_ERROR && any_member_ && stream_.total_out == 0) {
      throw DecodeFailure{std::string(trailing_garbage)};
    } else if (result == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      throw DecodeFailure{std::string(damaged)};
    }
    return {in_size - stream_.avail_in, out_size - stream_.avail_out};
  }
  [[nodiscard]] bool is_complete() const noexcept override { return member_ended_; }

private:
  z_stream stream_{};
  bool member_ended_ = false;
  bool any_member_ = false;
};

/// .xz (several streams and stream padding allowed) and the older .lzma (one stream).
class LzmaDecoder final : public Decoder {
public:
  enum class Container { xz, lzma_alone };
  explicit LzmaDecoder(Container container) {
    const lzma_ret result =
        container == Container::xz
            ? lzma_stream_decoder(&stream_, max_lzma_memory_bytes,
                                  LZMA_CONCATENATED | LZMA_TELL_UNSUPPORTED_CHECK)
            : lzma_alone_decoder(&stream_, max_lzma_memory_bytes);
    if (result != LZMA_OK) {
      throw std::bad_alloc();
    }
  }
  ~LzmaDecoder() override { lzma_end(&stream_); }
  LzmaDecoder(const LzmaDecoder&) = delete;
  LzmaDecoder& operator=(const LzmaDecoder&) = delete;

  Step step(std::span<const std::byte> in, std::span<std::byte> out, bool is_last) override {
    if (ended_) {
      if (!in.empty()) {
        throw DecodeFailure{std::string(trailing_garbage)};
      }
      return {};
    }
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
    stream_.avail_in = in.size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream_.avail_out = out.size();
    // A concatenated file says that it is complete only when it is told that no more comes.
    const lzma_ret result = lzma_code(&stream_, is_last ? LZMA_FINISH : LZMA_RUN);
    switch (result) {
    case LZMA_OK:
    case LZMA_BUF_ERROR: // no progress possible: the caller sees that by the counts
      break;
    case LZMA_STREAM_END:
      ended_ = true;
      break;
    case LZMA_MEM_ERROR:
      throw std::bad_alloc();
    case LZMA_MEMLIMIT_ERROR:
      throw DecodeFailure{"it needs more than " + std::to_string(max_lzma_memory_bytes >> 20) +
                          " MiB of memory to decompress"};
    case LZMA_UNSUPPORTED_CHECK:
      throw DecodeFailure{"its integrity check is of an unknown kind"};
    default:
      throw DecodeFailure{std::string(damaged)};
    }
    return {in.size() - stream_.avail_in, out.size() - stream_.avail_out};
  }
  [[nodiscard]] bool is_complete() const noexcept override { return ended_; }

private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ended_ = false;
};

/// RFC 8878: one or more frames, skippable ones anywhere.
class ZstdDecoder final : public Decoder {
public:
  ZstdDecoder() : context_(ZSTD_createDCtx()) {
    if (!context_ || ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax,
                                                         max_zstd_window_log)) != 0U) {
      throw std::bad_alloc();
    }
  }

  Step step(std::span<const std::byte> in, std::span<std::byte> out, bool) override {
    if (in.empty() && frame_ended_) {
      return {}; // a call now would begin the next frame
    }
    ZSTD_inBuffer source{in.data(), in.size(), 0};
    ZSTD_outBuffer target{out.data(), out.size(), 0};
    const std::size_t result = ZSTD_decompressStream(context_.get(), &target, &source);
    if (ZSTD_isError(result) != 0U) {
      switch (ZSTD_getErrorCode(result)) {
      case ZSTD_error_memory_allocation:
        throw std::bad_alloc();
      case ZSTD_error_frameParameter_windowTooLarge:
        throw DecodeFailure{"its window is larger than " +
                            std::to_string((1U << max_zstd_window_log) >> 20U) + " MiB"};
      case ZSTD_error_prefix_unknown:
        throw DecodeFailure{std::string(any_frame_ ? trailing_garbage : damaged)};
      default:
        throw DecodeFailure{std::string(damaged)};
      }
    }
    frame_ended_ = result == 0;
    any_frame_ = any_frame_ || frame_ended_;
    return {source.pos, target.pos};
  }
  [[nodiscard]] bool is_complete() const noexcept override { return frame_ended_; }

private:
  struct Deleter {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Deleter> context_;
  bool frame_ended_ = false;
  bool any_frame_ = false;
};

/// One or more streams, as bzip2(1) itself writes with several cores.
class Bzip2Decoder final : public Decoder {
public:
  Bzip2Decoder() { begin(); }
  ~Bzip2Decoder() override { BZ2_bzDecompressEnd(&stream_); }
  Bzip2Decoder(const Bzip2Decoder&) = delete;
  Bzip2Decoder& operator=(const Bzip2Decoder&) = delete;

  Step step(std::span<const std::byte> in, std::span<std::byte> out, bool) override {
    if (stream_ended_) {
      if (in.empty()) {
        return {};
      }
      BZ2_bzDecompressEnd(&stream_);
      begin();
      stream_ended_ = false;
    }
    const unsigned in_size = clamped(in.size());
    const unsigned out_size = clamped(out.size());
    stream_.next_in = const_cast<char*>(reinterpret_cast<const char*>(in.data()));
    stream_.avail_in = in_size;
    stream_.next_out = reinterpret_cast<char*>(out.data());
    stream_.avail_out = out_size;
    const int result = BZ2_bzDecompress(&stream_);
    if (result == BZ_STREAM_END) {
      stream_ended_ = true;
      any_stream_ = true;
    } else if (result == BZ_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (result == BZ_DATA_ERROR_MAGIC && any_stream_) {
      throw DecodeFailure{std::string(trailing_garbage)};
    } else if (result != BZ_OK) {
      throw DecodeFailure{std::string(damaged)};
    }
    return {in_size - stream_.avail_in, out_size - stream_.avail_out};
  }
  [[nodiscard]] bool is_complete() const noexcept override { return stream_ended_; }

private:
  void begin() {
    stream_ = {};
    if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) {
      throw std::bad_alloc();
    }
  }
  bz_stream stream_{};
  bool stream_ended_ = false;
  bool any_stream_ = false;
};

std::unique_ptr<Decoder> make_decoder(Encoding encoding) {
  switch (encoding) {
  case Encoding::plain:
    return std::make_unique<PlainDecoder>();
  case Encoding::gzip:
    return std::make_unique<GzipDecoder>();
  case Encoding::xz:
    return std::make_unique<LzmaDecoder>(LzmaDecoder::Container::xz);
  case Encoding::lzma:
    return std::make_unique<LzmaDecoder>(LzmaDecoder::Container::lzma_alone);
  case Encoding::zstd:
    return std::make_unique<ZstdDecoder>();
  case Encoding::bzip2:
    return std::make_unique<Bzip2Decoder>();
  }
  assert(false);
  return nullptr;
}

class DecompressingSource final : public io::ByteSource {
public:
  DecompressingSource(Encoding encoding, std::unique_ptr<io::ByteSource> source,
                      std::uint64_t max_bytes, std::string name)
      : source_(std::move(source)), decoder_(make_decoder(encoding)), max_bytes_(max_bytes),
        name_(std::move(name)), buffer_(input_bytes) {}

  /// Fills the input buffer, so that the first bytes can be looked at.
  std::span<const std::byte> peek() {
    while (rest_.size() < max_magic_bytes && !ended_) {
      refill();
    }
    return rest_;
  }
  void set_encoding(Encoding encoding) { decoder_ = make_decoder(encoding); }

  std::size_t read(std::span<std::byte> into) override {
    // One byte more than is allowed: that one tells a bomb from an exact fit.
    const std::uint64_t allowed = max_bytes_ - produced_;
    const std::span<std::byte> out =
        allowed < into.size() ? into.first(static_cast<std::size_t>(allowed) + 1) : into;
    for (;;) {
      if (rest_.empty() && !ended_) {
        refill();
      }
      const Step done = step(out);
      rest_ = rest_.subspan(done.consumed);
      offset_ += done.consumed;
      if (done.produced > allowed) {
        refuse("it decompresses to more than " + std::to_string(max_bytes_) + " bytes");
      }
      produced_ += done.produced;
      if (done.produced > 0) {
        return done.produced;
      }
      if (ended_ && rest_.empty() && decoder_->is_complete()) {
        return 0;
      }
      if (done.consumed == 0 && ended_) {
        refuse("its compressed data ends too early");
      }
    }
  }

private:
  void refill() {
    // Unread bytes (a handful, from peek) stand at the front or move there.
    if (!rest_.empty()) {
      std::memmove(buffer_.data(), rest_.data(), rest_.size());
    }
    const std::size_t kept = rest_.size();
    const std::size_t count = source_->read(std::span(buffer_).subspan(kept));
    ended_ = count == 0;
    rest_ = std::span(buffer_).first(kept + count);
  }

  Step step(std::span<std::byte> out) {
    try {
      return decoder_->step(rest_, out, ended_);
    } catch (const DecodeFailure& failure) {
      refuse(failure.cause);
    }
  }

  [[noreturn]] void refuse(const std::string& cause) const {
    throw FormatError(name_, offset_, cause);
  }

  std::unique_ptr<io::ByteSource> source_;
  std::unique_ptr<Decoder> decoder_;
  std::uint64_t max_bytes_;
  std::string name_;
  std::vector<std::byte> buffer_;
  std::span<const std::byte> rest_; ///< of buffer_, not yet decoded
  std::uint64_t offset_ = 0;        ///< compressed bytes decoded
  std::uint64_t produced_ = 0;
  bool ended_ = false;
};

} // namespace

/// Magic bytes: gzip RFC 1952; xz file format 1.1, 2.1.1.1; zstd and skippable frames RFC
/// 8878, 3.1; bzip2's block or end-of-stream number after "BZh1".."BZh9"; .lzma has none, so its
/// usual properties byte and a plausible dictionary size stand for it.
Encoding detect_encoding(std::span<const std::byte> head) noexcept {
  const auto at = [&](std::size_t i) {
    return i < head.size() ? std::to_integer<unsigned>(head[i]) : 0x100U;
  };
  const auto starts = [&](std::initializer_list<unsigned> magic) {
    std::size_t i = 0;
    return std::all_of(magic.begin(), magic.end(), [&](unsigned byte) { return at(i++) == byte; });
  };
  if (starts({0x1f, 0x8b})) {
    return Encoding::gzip;
  }
  if (starts({0xfd, '7', 'z', 'X', 'Z', 0x00})) {
    return Encoding::xz;
  }
  if (starts({0x28, 0xb5, 0x2f, 0xfd}) ||
      (at(0) >= 0x50 && at(0) <= 0x5f && at(1) == 0x2a && at(2) == 0x4d && at(3) == 0x18)) {
    return Encoding::zstd;
  }
  if (starts({'B', 'Z', 'h'}) && at(3) >= '1' && at(3) <= '9' &&
      ((at(4) == 0x31 && at(5) == 0x41) || (at(4) == 0x17 && at(5) == 0x72))) {
    return Encoding::bzip2;
  }
  if (starts({0x5d, 0x00, 0x00}) && head.size() >= max_magic_bytes) {
    const unsigned dictionary = at(3) << 16U | at(4) << 24U;
    const unsigned top = std::bit_floor(dictionary);
    if (dictionary != 0 && (dictionary == top || dictionary == top + top / 2)) {
      return Encoding::lzma;
    }
  }
  return Encoding::plain;
}

std::unique_ptr<io::ByteSource> make_decompressor(Encoding encoding,
                                                  std::unique_ptr<io::ByteSource> source,
                                                  std::uint64_t max_bytes, std::string name) {
  return std::make_unique<DecompressingSource>(encoding, std::move(source), max_bytes,
                                               std::move(name));
}

std::unique_ptr<io::ByteSource> make_decompressor(std::unique_ptr<io::ByteSource> source,
                                                  std::uint64_t max_bytes, std::string name) {
  auto decompressor = std::make_unique<DecompressingSource>(Encoding::plain, std::move(source),
                                                            max_bytes, std::move(name));
  decompressor->set_encoding(detect_encoding(decompressor->peek()));
  return decompressor;
}

} // namespace aipack::codec
