#include "relation.hpp"
#include "support/catch.hpp"

using namespace aipack::solve;

namespace {

std::string shown(std::string_view text) {
  RelationList list;
  list.parse(text);
  std::string out;
  constexpr const char* signs[] = {"", "<<", "<=", "=", ">=", ">>"};
  for (std::size_t i = 0; i < list.size(); ++i) {
    out += i == 0 ? "" : ",";
    bool first = true;
    for (const Alternative& each : list.group(i)) {
      out += first ? "" : "|";
      first = false;
      out += std::string(each.name) +
             (each.qualifier.empty() ? "" : ":" + std::string(each.qualifier)) +
             signs[static_cast<int>(each.comparison)] + std::string(each.version);
    }
  }
  return out;
}

} // namespace

TEST_CASE("RelationList reads every form of a relation", "[solve][relation]") {
  const auto [text, expected] = GENERATE(table<std::string, std::string>({
      {"", ""},
      {" a ", "a"},
      {"a,b", "a,b"},
      {"a, b,\n c,", "a,b,c"},
      {",,a,,", "a"},
      {"a|b | c,d", "a|b|c,d"},
      {"a(>=1)", "a>=1"},
      {"a ( << 1:2.0~rc1+b1-3 ) | b", "a<<1:2.0~rc1+b1-3|b"},
      {"a (= 1), b (>> 2), c (<= 3)", "a=1,b>>2,c<=3"},
      {"a (< 1), b (> 2)", "a<=1,b>=2"},
      {"python3:any (>= 3), libc6:native", "python3:any>=3,libc6:native"},
  }));
  CHECK(shown(text) == expected);
}

TEST_CASE("RelationList keeps each group as it was written", "[solve][relation]") {
  RelationList list;
  list.parse("a | b (>= 1) , c");
  REQUIRE(list.size() == 2);
  CHECK(list.text(0) == "a | b (>= 1)");
  CHECK(list.text(1) == "c");
}

TEST_CASE("RelationList refuses other text", "[solve][relation]") {
  const std::string text =
      GENERATE("|", "a |", "a b", "a (", "a (1)", "a (>=", "a (>= )", "a (>= 1",
               "a:", "a (>= 1) (>= 2)", "a [amd64]", "a <!x>", "\x01", "(>= 1)");
  CAPTURE(text);
  RelationList list;
  CHECK_THROWS_AS(list.parse(text), RelationError);
}

TEST_CASE("RelationList has limits", "[solve][relation]") {
  RelationList list;
  std::string alternatives = "a";
  for (std::size_t i = 0; i < max_alternatives; ++i) {
    alternatives += "|a";
  }
  CHECK_THROWS_AS(list.parse(alternatives), RelationError);
  std::string groups;
  for (std::size_t i = 0; i <= max_relations; ++i) {
    groups += "a,";
  }
  CHECK_THROWS_AS(list.parse(groups), RelationError);
  CHECK_THROWS_AS(list.parse(std::string(max_name_bytes + 1, 'a')), RelationError);
  CHECK_THROWS_AS(list.parse("a (= " + std::string(max_version_bytes + 1, '1') + ")"),
                  RelationError);
}
