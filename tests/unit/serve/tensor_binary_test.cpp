#include "error.hpp"
#include "support/catch.hpp"
#include "tensor_binary.hpp"

using namespace aipack::serve;
using namespace std::string_literals;

namespace {

Tensor blank(ElementType type, Shape shape) {
  Tensor tensor;
  tensor.name = "x";
  tensor.element_type = type;
  tensor.shape = std::move(shape);
  return tensor;
}

} // namespace

TEST_CASE("binary data of every fixed-size type goes in and out unchanged",
          "[serve][tensor_binary]") {
  const auto [type, count] =
      GENERATE(table<ElementType, std::int64_t>({{ElementType::uint8, 4},
                                                 {ElementType::fp16, 2},
                                                 {ElementType::fp32, 1},
                                                 {ElementType::int4, 8},
                                                 {ElementType::fp8_e5m2, 4},
                                                 {ElementType::boolean, 4}}));
  const std::string bytes = "\0\1\1\0"s;
  Tensor tensor = blank(type, {count});
  read_binary_data(bytes, tensor);
  std::string out;
  append_binary_data(out, tensor);
  CHECK(out == bytes);
  CHECK(binary_size(tensor) == bytes.size());
  CHECK_THROWS_WITH(read_binary_data("\0\1\1"s, tensor),
                    ContainsSubstring("input 'x'") && ContainsSubstring("wants 4"));
}

TEST_CASE("binary strings carry any bytes", "[serve][tensor_binary]") {
  const std::string bytes = "\3\0\0\0a\0\xFF\0\0\0\0"s;
  Tensor tensor = blank(ElementType::bytes, {1, 2});
  read_binary_data(bytes, tensor);
  CHECK(tensor.strings == std::vector<std::string>{"a\0\xFF"s, ""});
  std::string out;
  append_binary_data(out, tensor);
  CHECK(out == bytes);
  CHECK(binary_size(tensor) == bytes.size());
}

TEST_CASE("binary strings that lie about their lengths are refused", "[serve][tensor_binary]") {
  const auto [bytes, count, message] = GENERATE(table<std::string, std::int64_t, std::string>({
      {"", 1, "too short"},
      {"\1\0\0\0"s, 1, "passes the end"},
      {"\xFF\xFF\xFF\xFF"s, 1, "passes the end"},
      {"\0\0\0\0x"s, 1, "1 bytes are left"},
      {"\1\0\0\0a\0\0\0"s, 2, "ends before string 1"},
      {"\0\0\0\0"s, std::int64_t{1} << 40, "too short"},
      {"x", 0, "1 bytes are left"},
  }));
  Tensor tensor = blank(ElementType::bytes, {count});
  CHECK_THROWS_WITH(read_binary_data(bytes, tensor), ContainsSubstring(message));
}

TEST_CASE("a BOOL byte is 0 or 1", "[serve][tensor_binary]") {
  Tensor tensor = blank(ElementType::boolean, {2});
  CHECK_THROWS_WITH(read_binary_data("\1\2", tensor), ContainsSubstring("element 1"));
}
