#include "aipack/codec/compression.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <vector>

#include <zlib.h>
#include <zstd.h>

namespace aipack::codec {
namespace {

constexpr int default_zstd_level = 19;
constexpr int default_gzip_level = 9;

/// Input bytes of one unit of parallel work. The default for level 19 is 32 MiB, as large as a
/// whole runtime layer; a quarter of it keeps several cores busy. Part of the output's definition,
/// like the overlap: changing it changes layout_version.
constexpr int zstd_job_bytes = 8 << 20;
/// How much of its window a job sees of the job before: 6 is an eighth. Measured on 17 MB of shared
/// libraries at level 19: an eighth takes 7.5 CPU seconds for 3.108 MB, the whole window 12.3 for
/// 3.106, one single job 7.5 for 3.119.
constexpr int zstd_overlap = 6;

/// zlib is fed in pieces of this size, whatever pieces arrive, so that its output cannot depend on
/// them.
constexpr std::size_t gzip_piece_bytes = std::size_t{128} << 10;

constexpr std::size_t output_bytes = std::size_t{256} << 10;

struct Range {
  Codec codec;
  std::string_view name;
  int highest;
};
constexpr std::array<Range, 3> ranges{{
    {Codec::none, "none", 0},
    {Codec::gzip, "gzip", 9},
    {Codec::zstd, "zstd", 19},
}};

const Range& range_of(Codec codec) noexcept {
  return *std::find_if(ranges.begin(), ranges.end(),
                       [&](const Range& range) { return range.codec == codec; });
}

class Passthrough final : public Compressor {
public:
  explicit Passthrough(io::ByteSink& next) : next_(next) {}
  void write(std::span<const std::byte> bytes) override { next_.write(bytes); }
  void finish() override {}

private:
  io::ByteSink& next_;
};

struct ZstdDeleter {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
};

class ZstdCompressor final : public Compressor {
public:
  ZstdCompressor(int level, io::ByteSink& next, unsigned threads)
      : next_(next), context_(ZSTD_createCCtx()), buffer_(output_bytes) {
    if (!context_) {
      throw std::bad_alloc();
    }
    set(ZSTD_c_compressionLevel, level);
    set(ZSTD_c_checksumFlag, 1);
    // One worker is still the multi-threaded path: zstd's single-threaded path makes other bytes.
    set(ZSTD_c_nbWorkers, static_cast<int>(std::clamp(threads, 1U, 64U)));
    set(ZSTD_c_jobSize, zstd_job_bytes);
    set(ZSTD_c_overlapLog, zstd_overlap);
  }

  void write(std::span<const std::byte> bytes) override {
    assert(!finished_);
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (in.pos < in.size) {
      step(in, ZSTD_e_continue);
    }
  }

  void finish() override {
    assert(!finished_);
    finished_ = true;
    // Ended without input of its own: zstd writes the size into the frame when all input comes with
    // the end, and then the bytes would depend on how the writer cut its writes.
    ZSTD_inBuffer in{nullptr, 0, 0};
    while (step(in, ZSTD_e_end) != 0) {
    }
  }

private:
  void set(ZSTD_cParameter parameter, int value) {
    check(ZSTD_CCtx_setParameter(context_.get(), parameter, value));
  }

  std::size_t step(ZSTD_inBuffer& in, ZSTD_EndDirective directive) {
    ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
    const std::size_t rest = check(ZSTD_compressStream2(context_.get(), &out, &in, directive));
    if (out.pos > 0) {
      next_.write(std::span(buffer_).first(out.pos));
    }
    return rest;
  }

  static std::size_t check(std::size_t result) {
    if (ZSTD_isError(result) != 0U) {
      throw Error(ErrorCode::internal,
                  std::string("cannot compress with zstd: ") + ZSTD_getErrorName(result))
          .with_hint("aipack needs a libzstd that is built with threads");
    }
    return result;
  }

  io::ByteSink& next_;
  std::unique_ptr<ZSTD_CCtx, ZstdDeleter> context_;
  std::vector<std::byte> buffer_;
  bool finished_ = false;
};

/// Member header and trailer as RFC 1952, section 2.3; the data between is raw deflate.
class GzipCompressor final : public Compressor {
public:
  GzipCompressor(int level, io::ByteSink& next) : next_(next), buffer_(output_bytes) {
    piece_.reserve(gzip_piece_bytes);
    constexpr int raw_deflate = -15; // 32 KiB window, no zlib header
    constexpr int memory_level = 8;
    if (deflateInit2(&stream_, level, Z_DEFLATED, raw_deflate, memory_level, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
      throw std::bad_alloc();
    }
    // XFL says slowest (2) or fastest (4), as gzip itself writes it; OS 255 is "unknown".
    const auto speed = static_cast<std::byte>(level == 9 ? 2 : level == 1 ? 4 : 0);
    header_ = {std::byte{0x1f}, std::byte{0x8b}, std::byte{8}, std::byte{0}, std::byte{0},
               std::byte{0},    std::byte{0},    std::byte{0}, speed,        std::byte{255}};
  }
  ~GzipCompressor() override { deflateEnd(&stream_); }
  GzipCompressor(const GzipCompressor&) = delete;
  GzipCompressor& operator=(const GzipCompressor&) = delete;

  void write(std::span<const std::byte> bytes) override {
    assert(!finished_);
    while (!bytes.empty()) {
      const std::size_t count = std::min(bytes.size(), gzip_piece_bytes - piece_.size());
      piece_.insert(piece_.end(), bytes.begin(),
                    bytes.begin() + static_cast<std::ptrdiff_t>(count));
      bytes = bytes.subspan(count);
      if (piece_.size() == gzip_piece_bytes) {
        deflate_piece(Z_NO_FLUSH);
      }
    }
  }

  void finish() override {
    assert(!finished_);
    finished_ = true;
    deflate_piece(Z_FINISH);
    std::array<std::byte, 8> trailer{};
    for (unsigned i = 0; i < 4; ++i) {
      trailer[i] = static_cast<std::byte>(crc_ >> (8 * i) & 0xff);
      trailer[4 + i] = static_cast<std::byte>(size_ >> (8 * i) & 0xff); // modulo 2^32
    }
    next_.write(trailer);
  }

private:
  void deflate_piece(int flush) {
    if (!header_written_) {
      next_.write(header_);
      header_written_ = true;
    }
    crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(piece_.data()), piece_.size());
    size_ += piece_.size();
    stream_.next_in = reinterpret_cast<Bytef*>(piece_.data());
    stream_.avail_in = static_cast<uInt>(piece_.size());
    int result = Z_OK;
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      result = deflate(&stream_, flush);
      assert(result != Z_STREAM_ERROR);
      next_.write(std::span(buffer_).first(buffer_.size() - stream_.avail_out));
    } while (stream_.avail_out == 0 || (flush == Z_FINISH && result != Z_STREAM_END));
    piece_.clear();
  }

  io::ByteSink& next_;
  z_stream stream_{};
  std::vector<std::byte> buffer_;
  std::vector<std::byte> piece_;
  std::array<std::byte, 10> header_{};
  uLong crc_ = crc32_z(0, nullptr, 0);
  std::uint64_t size_ = 0;
  bool header_written_ = false;
  bool finished_ = false;
};

} // namespace

Compression Compression::parse(std::string_view text) {
  const auto refuse = [&](const std::string& cause) {
    return Error(ErrorCode::invalid_input,
                 "cannot parse compression " + quoted(text) + ": " + cause)
        .with_hint("use 'zstd', 'gzip' or 'none', with a level if you like: 'zstd:9'");
  };
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const auto* range = std::find_if(ranges.begin(), ranges.end(),
                                   [&](const Range& entry) { return entry.name == name; });
  if (range == ranges.end()) {
    throw refuse("no such codec");
  }
  Compression compression{range->codec, 0};
  compression.level = compression.effective_level();
  if (colon != std::string_view::npos) {
    const auto level = parse_decimal(text.substr(colon + 1));
    if (range->codec == Codec::none) {
      throw refuse("'none' has no level");
    }
    if (!level || *level == 0 || *level > static_cast<std::uint64_t>(range->highest)) {
      throw refuse("the level must be from 1 to " + std::to_string(range->highest));
    }
    compression.level = static_cast<int>(*level);
  }
  return compression;
}

int Compression::effective_level() const noexcept {
  if (codec == Codec::none) {
    return 0;
  }
  if (level != 0) {
    return level;
  }
  return codec == Codec::zstd ? default_zstd_level : default_gzip_level;
}

std::string Compression::to_string() const {
  const std::string name(range_of(codec).name);
  return codec == Codec::none ? name : name + ":" + std::to_string(effective_level());
}

std::string codec_version(Codec codec) {
  switch (codec) {
  case Codec::none:
    return "none";
  case Codec::gzip:
    return std::string("gzip zlib-") + zlibVersion();
  case Codec::zstd:
    return std::string("zstd ") + ZSTD_versionString();
  }
  assert(false);
  return {};
}

std::unique_ptr<Compressor> make_compressor(Compression compression, io::ByteSink& next,
                                            unsigned threads) {
  const int level = compression.effective_level();
  if (compression.codec != Codec::none &&
      (level < 1 || level > range_of(compression.codec).highest)) {
    throw Error(ErrorCode::invalid_input, "cannot compress with " +
                                              quoted(compression.to_string()) +
                                              ": the level must be from 1 to " +
                                              std::to_string(range_of(compression.codec).highest));
  }
  switch (compression.codec) {
  case Codec::none:
    return std::make_unique<Passthrough>(next);
  case Codec::gzip:
    return std::make_unique<GzipCompressor>(level, next);
  case Codec::zstd:
    return std::make_unique<ZstdCompressor>(level, next, threads);
  }
  assert(false);
  return nullptr;
}

} // namespace aipack::codec
