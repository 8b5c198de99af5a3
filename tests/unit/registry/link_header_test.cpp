#include "aipack/core/error.hpp"
#include "aipack/registry/registry.hpp"

#include "link_header.hpp"
#include "support/catch.hpp"

using namespace aipack;
using registry::Pages;
using registry::parse_links;

namespace {

std::string shown(std::string_view header) {
  std::string text;
  for (const auto& link : parse_links(header)) {
    text += (text.empty() ? "" : " | ") + link.target + " (" + link.relation + ")";
  }
  return text;
}

http::Response answer(std::string link) {
  return {.status = 200, .url = {}, .headers = {{"Link", std::move(link)}}};
}

Pages pages() {
  return {http::Origin::of("https://r.example"), "/v2/a/tags/list?n=2", "list of tags of 'a'"};
}

} // namespace

TEST_CASE("Link headers are read as RFC 8288 writes them", "[registry][paging]") {
  struct Case {
    const char* header;
    const char* expected;
  };
  const auto c = GENERATE(values<Case>({
      {R"(</v2/a/tags/list?last=x&n=2>; rel="next")", "/v2/a/tags/list?last=x&n=2 (next)"},
      {"<a>;rel=next", "a (next)"},
      {"< a > ; REL = \"next prev\"", "a (next prev)"},
      {"<a>; rel=prev, <b>; title=\"x, y; z\"; rel=next", "a (prev) | b (next)"},
      {"<a>; rel=first; rel=next", "a (first)"},
      {"<a,b>; rel=next", "a,b (next)"},
      {"<a>", "a ()"},
      {"<a>; rel", "a ()"},
      {"<a>; rel=\"not closed", "a (not closed)"},
      {"<a", ""},
      {"a; rel=next", ""},
      {"<a> odd, <b>; rel=next", "a ()"},
      {"", ""},
  }));
  CAPTURE(c.header);
  CHECK(shown(c.header) == c.expected);
}

TEST_CASE("the next page is on the same server", "[registry][paging]") {
  struct Case {
    const char* target;
    const char* expected; ///< null: refused
  };
  const auto c = GENERATE(values<Case>({
      {"/v2/a/tags/list?last=b&n=2", "https://r.example/v2/a/tags/list?last=b&n=2"},
      {"list?last=b", "https://r.example/v2/a/tags/list?last=b"},
      {"?last=b", "https://r.example/v2/a/tags/list?last=b"},
      {"https://r.example:443/next", "https://r.example:443/next"},
      {"https://other.example/v2/a/tags/list?last=b", nullptr},
      {"https://r.example:444/v2/a/tags/list", nullptr},
      {"http://r.example/v2/a/tags/list", nullptr},
      {"//other.example/next", nullptr},
      {"file:///etc/passwd", nullptr},
  }));
  CAPTURE(c.target);
  Pages listing = pages();
  const auto response = answer("<" + std::string(c.target) + ">; rel=next");
  if (c.expected != nullptr) {
    CHECK(listing.advance(response));
    CHECK(listing.url() == c.expected);
  } else {
    CHECK_THROWS_AS(listing.advance(response), Error);
  }
}

TEST_CASE("pages end without a next link, and when they turn in a circle", "[registry][paging]") {
  Pages listing = pages();
  CHECK_FALSE(listing.advance({.status = 200}));
  CHECK_FALSE(listing.advance(answer("</x>; rel=prev")));
  CHECK(listing.advance(answer("</b>; rel=next")));
  CHECK(listing.advance(answer("</c>; rel=next")));
  CHECK_FALSE(listing.advance(answer("</b>; rel=next")));
  CHECK_FALSE(listing.advance(answer("</v2/a/tags/list?n=2>; rel=next")));
}

TEST_CASE("a listing has a last page", "[registry][paging]") {
  Pages listing(http::Origin::of("https://r.example"), "/0", "list of tags of 'a'", 3);
  CHECK(listing.advance(answer("</1>; rel=next")));
  CHECK(listing.advance(answer("</2>; rel=next")));
  CHECK_THROWS_AS(listing.advance(answer("</3>; rel=next")), Error);
}
