#pragma once

#include "aipack/core/export.hpp"
#include "aipack/io/byte_stream.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace aipack::codec {

enum class Codec { none, gzip, zstd };

/// What a layer is compressed with. The bytes are a pure function of input, codec, level and the
/// linked codec's version, never of the number of threads.
struct AIPACK_API Compression {
  Codec codec = Codec::zstd;
  int level = 0; ///< 0: the codec's default here (zstd 19, gzip 9). zstd 1..19, gzip 1..9

  /// "zstd", "gzip:6", "none". Throws Error{invalid_input}.
  [[nodiscard]] static Compression parse(std::string_view text);
  [[nodiscard]] std::string to_string() const; ///< with the level that is in force: "zstd:19"
  /// The level that is in force: `level`, or the default when that is 0.
  [[nodiscard]] int effective_level() const noexcept;
  bool operator==(const Compression& other) const noexcept {
    return codec == other.codec && effective_level() == other.effective_level();
  }
};

/// The codec with the version of its library, "zstd 1.5.4" or "gzip zlib-1.2.13": part of every
/// cache key of compressed bytes.
[[nodiscard]] AIPACK_API std::string codec_version(Codec codec);

/// A sink that writes compressed bytes to another one.
struct AIPACK_API Compressor : io::ByteSink {
  /// Ends the stream; nothing may be written afterwards.
  virtual void finish() = 0;
};
/// `threads`: worker threads of the codec (zstd only); the output does not depend on it. One zstd
/// frame without the content's size, which is not known when it begins: window fixed by the level
/// (8 MiB at most), checksum on; gzip: mtime 0, no name, OS 255. Memory: about 100 MB for one
/// thread at zstd's level 19, 10 MB at level 3, whatever the input's size.
[[nodiscard]] AIPACK_API std::unique_ptr<Compressor>
make_compressor(Compression compression, io::ByteSink& next, unsigned threads = 1);

enum class Encoding { plain, gzip, xz, zstd, bzip2, lzma };
/// Recognised by magic bytes (at least the first 6 of the stream).
[[nodiscard]] AIPACK_API Encoding detect_encoding(std::span<const std::byte> head) noexcept;

/// A source of decompressed bytes: gzip (multi-member), xz, lzma, zstd (multi-frame, skippable
/// frames), bzip2. Limits: `max_bytes` of output (a bomb is Error{corrupt}); xz memory 256 MiB;
/// zstd window 128 MiB. Truncation and trailing garbage are Error{corrupt}. `name` is what errors
/// call the stream.
[[nodiscard]] AIPACK_API std::unique_ptr<io::ByteSource>
make_decompressor(Encoding encoding, std::unique_ptr<io::ByteSource> source,
                  std::uint64_t max_bytes, std::string name);
/// The same, with the encoding taken from the first bytes.
[[nodiscard]] AIPACK_API std::unique_ptr<io::ByteSource>
make_decompressor(std::unique_ptr<io::ByteSource> source, std::uint64_t max_bytes,
                  std::string name);

} // namespace aipack::codec
