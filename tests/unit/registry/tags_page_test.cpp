#include "support/catch.hpp"
#include "tags.hpp"

using namespace aipack;
using Tags = std::vector<std::string>;

TEST_CASE("a page of tags is read; what is no tag is left out", "[registry][tags]") {
  struct Case {
    const char* body;
    Tags expected;
  };
  const auto c = GENERATE(values<Case>({
      {R"({"name":"a","tags":["2","1","v1.0-rc_1"]})", {"2", "1", "v1.0-rc_1"}},
      {R"({"name":"a","tags":null})", {}},
      {R"({"name":"a"})", {}},
      {R"({"tags":[]})", {}},
      {R"({"tags":["ok","\u001b[2J","a/b","",".x","-x",7,null,["x"],"a b"]})", {"ok"}},
  }));
  CAPTURE(c.body);
  CHECK(registry::parse_tags_page(c.body, "tags") == c.expected);
  CHECK(registry::parse_tags_page(R"({"tags":[")" + std::string(128, 'a') + R"("]})", "tags")
            .size() == 1);
  CHECK(registry::parse_tags_page(R"({"tags":[")" + std::string(129, 'a') + R"("]})", "tags")
            .empty());
}

TEST_CASE("what is no page of tags is refused", "[registry][tags]") {
  const auto body =
      GENERATE(values<std::string>({"", "[]", "null", R"({"tags":"1"})", R"({"tags":{}})",
                                    R"({"tags":["1")", "<html>", std::string(1000, '[')}));
  CAPTURE(body);
  CHECK_THROWS_AS(registry::parse_tags_page(body, "tags"), FormatError);
}
