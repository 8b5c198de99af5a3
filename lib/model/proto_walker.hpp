#pragma once

#include "aipack/core/operation.hpp"
#include "aipack/io/byte_stream.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <protozero/types.hpp>

namespace aipack::model {

/// Bytes [begin, end) of the file.
struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  [[nodiscard]] std::uint64_t size() const noexcept { return end - begin; }
};

/// A message in the pieces it was written in: a singular field that occurs twice is, by protobuf's
/// rules, the concatenation of both.
using Pieces = std::vector<Extent>;

/// Where in the message tree the reader stands. Links live on the stack and become text only when
/// something is wrong.
struct FieldPath {
  const FieldPath* parent = nullptr;
  std::string_view name;
  std::optional<std::uint64_t> index{};
  [[nodiscard]] std::string to_string() const; ///< "graph.node[3].attribute[0]"
};

/// A file seen through one buffer that follows the reader. Reads ahead only while reading on, so
/// that skipping from tensor header to tensor header touches one page each, whatever lies between.
class Window {
public:
  Window(const io::RandomAccess& bytes, std::string name, const Operation& op);

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const Operation& operation() const noexcept { return op_; }
  /// The bytes from `offset`, `wanted` of them (fewer only at the end of the file). Valid until the
  /// next call.
  [[nodiscard]] std::span<const std::byte> view(std::uint64_t offset, std::size_t wanted) {
    if (offset >= start_ && offset - start_ <= length_ && length_ - (offset - start_) >= wanted) {
      return {buffer_.data() + (offset - start_), wanted};
    }
    return refill(offset, wanted);
  }
  /// Bytes read from the file so far.
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }

private:
  std::span<const std::byte> refill(std::uint64_t offset, std::size_t wanted);

  const io::RandomAccess& bytes_;
  std::uint64_t size_;
  std::string name_;
  const Operation& op_;
  std::vector<std::byte> buffer_;
  std::uint64_t start_ = 0;
  std::size_t length_ = 0;
  std::size_t read_ahead_;
  std::uint64_t bytes_read_ = 0;
};

/// Throws FormatError{corrupt}: "cannot read 'FILE': CAUSE in PATH (byte N)".
[[noreturn]] void fail(const Window& window, const FieldPath& path, std::uint64_t offset,
                       std::string_view cause);

/// One field of a message. Source: "Encoding" of the Protocol Buffers documentation; groups do not
/// occur in ONNX and are refused.
struct Field {
  std::uint32_t number = 0;
  protozero::pbf_wire_type type = protozero::pbf_wire_type::unknown;
  std::uint64_t value = 0; ///< of a varint
  Extent body{};           ///< of a length-delimited or fixed field
  std::uint64_t at = 0;    ///< offset of the tag
};

/// Walks the fields of a message without reading the bodies of length-delimited ones.
class FieldReader {
public:
  FieldReader(Window& window, std::span<const Extent> pieces, const FieldPath& path) noexcept
      : window_(window), path_(path), pieces_(pieces) {}

  [[nodiscard]] bool next(Field& field);

  // What a known field must be encoded as; throws FormatError otherwise.
  [[nodiscard]] std::uint64_t integer(const Field& field) const;
  [[nodiscard]] Extent body(const Field& field) const;
  [[nodiscard]] std::string text(const Field& field, std::uint64_t limit) const;

private:
  std::uint64_t varint(std::uint64_t end);

  Window& window_;
  const FieldPath& path_;
  std::span<const Extent> pieces_;
  std::size_t piece_ = 0;
  std::uint64_t position_ = 0;
  bool inside_ = false;
  std::uint32_t steps_ = 0;
};

/// A repeated integer field, packed or not.
void append_integers(Window& window, const Field& field, const FieldPath& path, std::uint64_t limit,
                     std::vector<std::int64_t>& out);
/// The bytes of a small message, its pieces joined: what protozero reads. Throws FormatError beyond
/// `limit`.
[[nodiscard]] std::string small_message(Window& window, std::span<const Extent> pieces,
                                        const FieldPath& path, std::uint64_t limit);

} // namespace aipack::model
