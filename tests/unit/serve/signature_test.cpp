#include "error.hpp"
#include "signature.hpp"
#include "support/catch.hpp"

using namespace aipack::serve;

namespace {

ValueSpec spec(std::string name, std::vector<Dimension> dimensions) {
  ValueSpec out;
  out.name = std::move(name);
  out.element_type = ElementType::fp32;
  out.dimensions = std::move(dimensions);
  out.rank_known = !out.dimensions.empty();
  out.type_text = "tensor(float)";
  return out;
}

Tensor tensor(std::string name, Shape shape) {
  Tensor out;
  out.name = std::move(name);
  out.shape = std::move(shape);
  return out;
}

} // namespace

TEST_CASE("check_shape compares rank and fixed sizes", "[serve][signature]") {
  const ValueSpec x = spec("x", {{-1, "N"}, {3, ""}, {-1, ""}});
  CHECK_NOTHROW(check_shape(x, Shape{0, 3, 9}));
  CHECK_THROWS_WITH(
      check_shape(x, Shape{3}),
      "cannot read input 'x': shape [3] has 1 dimension, the model takes 3: [N, 3, ?]");
  CHECK_THROWS_WITH(
      check_shape(x, Shape{1, 4, 1}),
      "cannot read input 'x': dimension 1 of shape [1, 4, 1] is 4, the model takes 3: [N, 3, ?]");
  CHECK_NOTHROW(check_shape(spec("any", {}), Shape{1, 2, 3}));
}

TEST_CASE("check_inputs wants one size for one symbol", "[serve][signature]") {
  const std::vector<ValueSpec> specs{spec("a", {{-1, "N"}, {-1, ""}}),
                                     spec("b", {{-1, "N"}, {-1, ""}})};
  CHECK_NOTHROW(check_inputs(specs, std::vector{tensor("b", {2, 5}), tensor("a", {2, 7})}));
  CHECK_THROWS_WITH(check_inputs(specs, std::vector{tensor("a", {2, 1}), tensor("b", {3, 1})}),
                    "cannot read input 'b': dimension 0 is 3, but 'N' is 2 in input 'a'");
}

TEST_CASE("check_inputs wants every input that has no default", "[serve][signature]") {
  std::vector<ValueSpec> specs{spec("a", {{1, ""}}), spec("b", {{1, ""}})};
  CHECK_THROWS_WITH(check_inputs(specs, std::vector{tensor("a", {1})}),
                    ContainsSubstring("input 'b' is missing"));
  specs[1].may_be_omitted = true;
  CHECK_NOTHROW(check_inputs(specs, std::vector{tensor("a", {1})}));
  specs[1].may_be_omitted = false;
  specs[1].kind = ValueKind::tensor_sequence;
  specs[1].type_text = "sequence(tensor(float))";
  CHECK_THROWS_WITH(check_inputs(specs, std::vector{tensor("a", {1})}),
                    ContainsSubstring("wants sequence(tensor(float))"));
}

TEST_CASE("what the protocol carries", "[serve][signature]") {
  ValueSpec value = spec("v", {});
  const auto [kind, in, out] =
      GENERATE(table<ValueKind, bool, bool>({{ValueKind::tensor, true, true},
                                             {ValueKind::optional_tensor, true, true},
                                             {ValueKind::tensor_sequence, false, true},
                                             {ValueKind::map, false, true},
                                             {ValueKind::map_sequence, false, true},
                                             {ValueKind::other, false, false}}));
  value.kind = kind;
  CHECK(is_carriable_input(value) == in);
  CHECK(is_carriable_output(value) == out);
  value.element_type = ElementType::complex64;
  CHECK_FALSE(is_carriable_input(value));
  CHECK_FALSE(is_carriable_output(value));
}
