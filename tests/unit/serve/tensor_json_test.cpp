#include "error.hpp"
#include "support/catch.hpp"
#include "tensor_json.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace aipack::serve;

namespace {

Tensor read(ElementType type, Shape shape, const std::string& data) {
  Tensor tensor;
  tensor.name = "x";
  tensor.element_type = type;
  tensor.shape = std::move(shape);
  JsonCursor cursor(data);
  read_json_data(cursor, tensor, data.size());
  cursor.finish();
  return tensor;
}

std::string again(ElementType type, Shape shape, const std::string& data) {
  std::string out;
  append_json_data(out, read(type, std::move(shape), data));
  return out;
}

std::string refusal(ElementType type, Shape shape, const std::string& data) {
  try {
    read(type, std::move(shape), data);
  } catch (const RequestError& error) {
    CHECK(error.status() == Status::bad_request);
    return error.what();
  }
  return "accepted";
}

template <class T>
Tensor tensor_of(ElementType type, const std::vector<T>& values) {
  Tensor tensor;
  tensor.element_type = type;
  tensor.shape = {static_cast<std::int64_t>(values.size())};
  tensor.buffer = Buffer::allocate(values.size() * sizeof(T));
  std::memcpy(tensor.buffer.data(), values.data(), values.size() * sizeof(T));
  return tensor;
}

} // namespace

TEST_CASE("JSON data of each type is read and written", "[serve][tensor_json]") {
  const auto [type, in, out] = GENERATE(table<ElementType, std::string, std::string>({
      {ElementType::boolean, "[true,false,1,0]", "[true,false,true,false]"},
      {ElementType::uint8, "[0,255,3.0,1e2]", "[0,255,3,100]"},
      {ElementType::int8, "[-128,127,-0,-0.0]", "[-128,127,0,0]"},
      {ElementType::uint64, "[18446744073709551615,0,1,2]", "[18446744073709551615,0,1,2]"},
      {ElementType::int64, "[-9223372036854775808,0,1,2]", "[-9223372036854775808,0,1,2]"},
      {ElementType::fp32, "[0.1,-0.0,1,1e-50]", "[0.1,-0.0,1.0,0.0]"},
      {ElementType::fp64, "[0.1,1e300,5e-324,1e-999]", "[0.1,1e+300,5e-324,0.0]"},
      {ElementType::fp16, "[1,-2.5,65504,NaN]", "[1.0,-2.5,65504.0,\"NaN\"]"},
      {ElementType::bf16, "[1,-2.5,Infinity,\"-Infinity\"]",
       "[1.0,-2.5,\"Infinity\",\"-Infinity\"]"},
      {ElementType::fp8_e4m3fn, "[448,-1,0,0.5]", "[448.0,-1.0,0.0,0.5]"},
      {ElementType::int4, "[-8,7,0,-1]", "[-8,7,0,-1]"},
      {ElementType::uint4, "[15,0,1,2]", "[15,0,1,2]"},
      {ElementType::bytes, R"(["","a\u0000b","ä","\""])", "[\"\",\"a\\u0000b\",\"ä\",\"\\\"\"]"},
  }));
  CHECK(again(type, {4}, in) == out);
}

TEST_CASE("nested data follows the shape exactly", "[serve][tensor_json]") {
  const auto type = ElementType::int32;
  CHECK(again(type, {2, 3}, "[[1,2,3],[4,5,6]]") == "[1,2,3,4,5,6]");
  CHECK(again(type, {2, 1, 2}, "[[[1,2]],[[3,4]]]") == "[1,2,3,4]");
  CHECK(again(type, {2, 0}, "[[],[]]") == "[]");
  CHECK(again(type, {0, 2}, "[]") == "[]");
  CHECK(again(type, {}, "[7]") == "[7]");
  const auto [shape, data, message] = GENERATE(table<Shape, std::string, std::string>({
      {{2, 3}, "[[1,2],[3,4,5,6]]", "an array of dimension 1 has 2 elements, shape [2, 3] wants 3"},
      {{2, 3}, "[[1,2,3]]", "an array of dimension 0 has 1 elements"},
      {{2, 3}, "[[1,2,3],4]", "data mixes arrays and values"},
      {{2, 3}, "[1,[2],3,4,5,6]", "element 1: '[2]' is not a number"},
      {{2}, "[[1,2]]", "nested deeper than shape [2]"},
      {{}, "[[1]]", "nested deeper than shape []"},
      {{2, 2}, "[[1,2],[3,4],[5,6]]", "more than the 4 elements"},
      {{2, 2}, "[[],[]]", "an array of dimension 1 has 0 elements"},
      {{3}, "[1,2]", "data has 2 elements, shape [3] wants 3"},
      {{1}, "7", "data is not an array"},
      {{100}, "[1]", "fewer elements than shape [100] wants"},
  }));
  CHECK_THAT(refusal(type, shape, data),
             ContainsSubstring("cannot read input 'x': ") && ContainsSubstring(message));
}

TEST_CASE("numbers that the type cannot hold are refused", "[serve][tensor_json]") {
  const auto [type, data, message] = GENERATE(table<ElementType, std::string, std::string>({
      {ElementType::uint8, "[256]", "'256' is out of range of UINT8"},
      {ElementType::uint8, "[-1]", "out of range"},
      {ElementType::uint8, "[1.5]", "is not an integer"},
      {ElementType::uint8, "[1e9]", "out of range"},
      {ElementType::uint8, "[NaN]", "is not an integer"},
      {ElementType::uint8, "[\"1\"]", "is not a number"},
      {ElementType::int64, "[9223372036854775808]", "out of range"},
      {ElementType::int64, "[1e18]", "out of range"}, // a double does not hold its neighbours
      {ElementType::uint64, "[18446744073709551616]", "out of range"},
      {ElementType::fp32, "[3.5e38]", "out of range of FP32"},
      {ElementType::fp64, "[-1e309]", "out of range of FP64"},
      {ElementType::fp16, "[65520]", "out of range of FP16"},
      {ElementType::fp32, "[\"nan\"]", "is not a number, \"NaN\""},
      {ElementType::fp32, "[null]", "'null' is not a number"},
      {ElementType::boolean, "[2]", "is not true, false, 1 or 0"},
      {ElementType::boolean, "[null]", "is not true or false"},
      {ElementType::int4, "[8]", "'8' is out of range of INT4"},
      {ElementType::uint4, "[-1]", "'-1' is out of range of UINT4"},
      {ElementType::bytes, "[1]", "is not a string"},
  }));
  CHECK_THAT(refusal(type, {1}, data),
             ContainsSubstring("element 0: ") && ContainsSubstring(message));
}

TEST_CASE("every float is written so that it reads back to the same bits", "[serve][tensor_json]") {
  std::mt19937 random(5);
  std::vector<float> singles;
  std::vector<double> doubles;
  for (int i = 0; i < 5000; ++i) {
    const auto single = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    const auto wide = std::bit_cast<double>((std::uint64_t{random()} << 32U) | random());
    singles.push_back(std::isfinite(single) ? single : 0.0F);
    doubles.push_back(std::isfinite(wide) ? wide : 0.0);
  }
  std::string text;
  append_json_data(text, tensor_of(ElementType::fp32, singles));
  Tensor back = read(ElementType::fp32, {5000}, text);
  CHECK(std::memcmp(back.buffer.data(), singles.data(), back.buffer.size()) == 0);
  text.clear();
  append_json_data(text, tensor_of(ElementType::fp64, doubles));
  back = read(ElementType::fp64, {5000}, text);
  CHECK(std::memcmp(back.buffer.data(), doubles.data(), back.buffer.size()) == 0);
}

TEST_CASE("a string that is not UTF-8 has no JSON form", "[serve][tensor_json]") {
  Tensor tensor;
  tensor.name = "y";
  tensor.element_type = ElementType::bytes;
  tensor.shape = {2};
  tensor.strings = {"fine", "\xFF"};
  std::string out;
  CHECK_THROWS_WITH(append_json_data(out, tensor), ContainsSubstring("output 'y'") &&
                                                       ContainsSubstring("element 1") &&
                                                       ContainsSubstring("binary_data"));
}
