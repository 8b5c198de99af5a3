#include "tensor_binary.hpp"

#include "error.hpp"
#include "text.hpp"

#include <cstring>

namespace aipack::serve {
namespace {

inline constexpr std::size_t length_bytes = 4; ///< of the length before each string

[[noreturn]] void fail(const Tensor& tensor, const std::string& cause) {
  throw RequestError("cannot read input " + quote(tensor.name) + ": " + cause);
}

void read_strings(std::string_view bytes, Tensor& tensor, std::uint64_t count) {
  if (count > bytes.size() / length_bytes) {
    fail(tensor, "binary data of " + std::to_string(bytes.size()) + " bytes is too short for the " +
                     std::to_string(count) + " strings of shape " + to_string(tensor.shape));
  }
  tensor.strings.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint32_t length = 0;
    if (bytes.size() < length_bytes) {
      fail(tensor, "binary data ends before string " + std::to_string(i));
    }
    std::memcpy(&length, bytes.data(), length_bytes);
    bytes.remove_prefix(length_bytes);
    if (length > bytes.size()) {
      fail(tensor, "string " + std::to_string(i) + " of " + std::to_string(length) +
                       " bytes passes the end of the binary data");
    }
    tensor.strings.emplace_back(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  if (!bytes.empty()) {
    fail(tensor, std::to_string(bytes.size()) + " bytes are left after the last string");
  }
}

} // namespace

void read_binary_data(std::string_view bytes, Tensor& tensor) {
  const auto count = element_count(tensor.shape);
  if (!count) {
    fail(tensor, "shape " + to_string(tensor.shape) + " has too many elements");
  }
  if (tensor.element_type == ElementType::bytes) {
    read_strings(bytes, tensor, *count);
    return;
  }
  const std::uint64_t wanted = byte_count(tensor.element_type, *count);
  if (bytes.size() != wanted) {
    fail(tensor, "binary data has " + std::to_string(bytes.size()) + " bytes, shape " +
                     to_string(tensor.shape) + " of " +
                     std::string(datatype_name(tensor.element_type)) + " wants " +
                     std::to_string(wanted));
  }
  if (tensor.element_type == ElementType::boolean) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (static_cast<unsigned char>(bytes[i]) > 1) {
        fail(tensor, "element " + std::to_string(i) + " of BOOL data is neither 0 nor 1");
      }
    }
  }
  tensor.buffer = Buffer::allocate(bytes.size());
  if (!bytes.empty()) {
    std::memcpy(tensor.buffer.data(), bytes.data(), bytes.size());
  }
}

std::uint64_t binary_size(const Tensor& tensor) noexcept {
  if (tensor.element_type != ElementType::bytes) {
    return tensor.buffer.size();
  }
  std::uint64_t size = 0;
  for (const std::string& text : tensor.strings) {
    size += length_bytes + text.size();
  }
  return size;
}

void append_binary_data(std::string& out, const Tensor& tensor) {
  if (tensor.element_type != ElementType::bytes) {
    out.append(reinterpret_cast<const char*>(tensor.buffer.data()), tensor.buffer.size());
    return;
  }
  for (const std::string& text : tensor.strings) {
    const auto length = static_cast<std::uint32_t>(text.size());
    char prefix[length_bytes];
    std::memcpy(prefix, &length, length_bytes);
    out.append(prefix, length_bytes);
    out += text;
  }
}

} // namespace aipack::serve
