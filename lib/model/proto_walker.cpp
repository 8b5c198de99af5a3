#include "proto_walker.hpp"

#include "aipack/core/error.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/varint.hpp>

namespace aipack::model {
namespace {

constexpr std::size_t smallest_read_bytes = std::size_t{4} << 10;
constexpr std::size_t largest_read_bytes = std::size_t{256} << 10;
constexpr std::uint64_t max_field_number = (std::uint64_t{1} << 29) - 1;

} // namespace

std::string FieldPath::to_string() const {
  std::string text = parent != nullptr ? parent->to_string() : std::string();
  if (!text.empty() && !name.empty()) {
    text += '.';
  }
  text += name;
  if (index) {
    text += fmt::format("[{}]", *index);
  }
  return text;
}

Window::Window(const io::RandomAccess& bytes, std::string name, const Operation& op)
    : bytes_(bytes), size_(bytes.size()), name_(std::move(name)), op_(op),
      read_ahead_(smallest_read_bytes) {}

std::span<const std::byte> Window::refill(std::uint64_t offset, std::size_t wanted) {
  op_.check();
  if (offset >= size_) {
    return {};
  }
  const bool reads_on = offset >= start_ && offset - start_ <= length_ && length_ > 0;
  read_ahead_ = reads_on ? std::min(read_ahead_ * 2, largest_read_bytes) : smallest_read_bytes;
  const auto rest = size_ - offset;
  const auto length =
      static_cast<std::size_t>(std::min<std::uint64_t>(rest, std::max(wanted, read_ahead_)));
  if (buffer_.size() < length) {
    buffer_.resize(length);
  }
  length_ = 0;
  bytes_.read_at(offset, {buffer_.data(), length});
  start_ = offset;
  length_ = length;
  bytes_read_ += length;
  return {buffer_.data(), std::min(wanted, length)};
}

void fail(const Window& window, const FieldPath& path, std::uint64_t offset,
          std::string_view cause) {
  const auto where = path.to_string();
  throw FormatError(window.name(), offset,
                    where.empty() ? std::string(cause) : fmt::format("{}: {}", where, cause));
}

std::uint64_t FieldReader::varint(std::uint64_t end) {
  const auto wanted = static_cast<std::size_t>(
      std::min<std::uint64_t>(end - position_, protozero::max_varint_length));
  const auto bytes = window_.view(position_, wanted);
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  const char* cursor = data;
  try {
    const auto value = protozero::decode_varint(&cursor, data + bytes.size());
    position_ += static_cast<std::uint64_t>(cursor - data);
    return value;
  } catch (const protozero::end_of_buffer_exception&) {
    fail(window_, path_, position_, "the message ends inside a number");
  } catch (const protozero::varint_too_long_exception&) {
    fail(window_, path_, position_, "a number is longer than ten bytes");
  }
}

bool FieldReader::next(Field& field) {
  if ((++steps_ & 0xfffU) == 0) {
    window_.operation().check();
  }
  for (;;) {
    if (!inside_) {
      if (piece_ == pieces_.size()) {
        return false;
      }
      position_ = pieces_[piece_].begin;
      inside_ = true;
    }
    if (position_ < pieces_[piece_].end) {
      break;
    }
    ++piece_;
    inside_ = false;
  }
  const auto end = pieces_[piece_].end;
  field.at = position_;
  const auto tag = varint(end);
  const auto number = tag >> 3U;
  if (number == 0 || number > max_field_number) {
    fail(window_, path_, field.at, fmt::format("{} is not a field number", number));
  }
  field.number = static_cast<std::uint32_t>(number);
  field.type = static_cast<protozero::pbf_wire_type>(tag & 7U);
  field.value = 0;
  std::uint64_t length = 0;
  switch (field.type) {
  case protozero::pbf_wire_type::varint:
    field.body.begin = position_;
    field.value = varint(end);
    field.body.end = position_;
    return true;
  case protozero::pbf_wire_type::fixed64:
    length = 8;
    break;
  case protozero::pbf_wire_type::fixed32:
    length = 4;
    break;
  case protozero::pbf_wire_type::length_delimited:
    length = varint(end);
    break;
  case protozero::pbf_wire_type::unknown:
  default:
    fail(
        window_, path_, field.at,
        fmt::format("field {} has wire type {}, which protobuf does not define", number, tag & 7U));
  }
  if (length > end - position_) {
    fail(window_, path_, field.at,
         fmt::format("field {} is {} bytes long, but only {} are left", number, length,
                     end - position_));
  }
  field.body = {.begin = position_, .end = position_ + length};
  position_ += length;
  return true;
}

std::uint64_t FieldReader::integer(const Field& field) const {
  if (field.type != protozero::pbf_wire_type::varint) {
    fail(window_, path_, field.at, fmt::format("field {} should be a number", field.number));
  }
  return field.value;
}

Extent FieldReader::body(const Field& field) const {
  if (field.type != protozero::pbf_wire_type::length_delimited) {
    fail(window_, path_, field.at, fmt::format("field {} should have a length", field.number));
  }
  return field.body;
}

std::string FieldReader::text(const Field& field, std::uint64_t limit) const {
  const auto extent = body(field);
  return small_message(window_, std::span(&extent, 1), path_, limit);
}

void append_integers(Window& window, const Field& field, const FieldPath& path, std::uint64_t limit,
                     std::vector<std::int64_t>& out) {
  const auto append = [&](std::uint64_t value) {
    if (out.size() >= limit) {
      fail(window, path, field.at,
           fmt::format("more than {} numbers in field {}", limit, field.number));
    }
    out.push_back(static_cast<std::int64_t>(value));
  };
  if (field.type == protozero::pbf_wire_type::varint) {
    append(field.value);
    return;
  }
  if (field.type != protozero::pbf_wire_type::length_delimited) {
    fail(window, path, field.at, fmt::format("field {} should hold numbers", field.number));
  }
  for (auto at = field.body.begin; at < field.body.end;) {
    const auto wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(field.body.end - at, protozero::max_varint_length));
    const auto bytes = window.view(at, wanted);
    const auto* data = reinterpret_cast<const char*>(bytes.data());
    const char* cursor = data;
    try {
      append(protozero::decode_varint(&cursor, data + bytes.size()));
    } catch (const protozero::exception&) {
      fail(window, path, at, fmt::format("field {} ends inside a number", field.number));
    }
    at += static_cast<std::uint64_t>(cursor - data);
  }
}

std::string small_message(Window& window, std::span<const Extent> pieces, const FieldPath& path,
                          std::uint64_t limit) {
  std::string text;
  for (const auto& piece : pieces) {
    if (piece.size() > limit - std::min<std::uint64_t>(limit, text.size())) {
      fail(window, path, piece.begin, fmt::format("longer than {} bytes", limit));
    }
    for (auto at = piece.begin; at < piece.end;) {
      const auto wanted =
          static_cast<std::size_t>(std::min<std::uint64_t>(piece.end - at, largest_read_bytes));
      const auto bytes = window.view(at, wanted);
      if (bytes.empty()) {
        fail(window, path, at, "the file ends here");
      }
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      at += bytes.size();
    }
  }
  return text;
}

} // namespace aipack::model
