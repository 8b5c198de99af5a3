#include "aipack/core/error.hpp"
#include "aipack/http/url.hpp"

#include "support/catch.hpp"

#include <string>

using namespace aipack;

TEST_CASE("an origin is scheme, host and port in one spelling", "[http][url]") {
  const auto [url, expected] = GENERATE(table<std::string, std::string>({
      {"https://r.example", "https://r.example"},
      {"HTTPS://R.Example:443/v2/?q#f", "https://r.example"},
      {"http://r.example:80", "http://r.example"},
      {"http://r.example:443", "http://r.example:443"},
      {"https://r.example:80", "https://r.example:80"},
      {"https://r.example:/", "https://r.example"},
      {"https://r.example:05000/", "https://r.example:5000"},
      {"https://user:password@r.example:5000/x", "https://r.example:5000"},
      {"https://other.example@r.example/", "https://r.example"},
      {"https://r.example?@other.example/", "https://r.example"},
      {"https://r.example#@other.example/", "https://r.example"},
      {"https://r%2eexample/", "https://r.example"},
      {"https://r.example./", "https://r.example."},
      {"http://127.0.0.1:5000", "http://127.0.0.1:5000"},
      {"http://127.1/", "http://127.0.0.1"},
      {"http://0x7f000001/", "http://127.0.0.1"},
      {"http://%30x7f.1/", "http://127.0.0.1"},
      {"http://2130706433/", "http://127.0.0.1"},
      {"http://[::1]:5000/", "http://[::1]:5000"},
      {"http://[0:0:0:0:0:0:0:1]/", "http://[::1]"},
      {"http://[::FFFF:10.0.0.1]/", "http://[::ffff:10.0.0.1]"},
      {"http://[2001:DB8::A]/", "http://[2001:db8::a]"},
      {"http://[fe80::1%25eth0]:5000/", "http://[fe80::1%25eth0]:5000"},
      {"https://xn--bcher-kva.example/", "https://xn--bcher-kva.example"},
  }));
  CAPTURE(url);
  const auto origin = http::Origin::of(url);
  CHECK(origin.to_string() == expected);
  CHECK(http::Origin::of(origin.to_string()) == origin);
  CHECK(http::same_origin(url, expected));
}

TEST_CASE("an origin has its parts", "[http][url]") {
  const auto origin = http::origin_of("https://[2001:DB8::1]:5000/v2/");
  CHECK(origin.scheme() == "https");
  CHECK(origin.host() == "2001:db8::1");
  CHECK(origin.port() == 5000);
  CHECK(origin.is_secure());
  CHECK(http::origin_of("http://r.example").port() == 80);
  CHECK_FALSE(http::origin_of("http://r.example").is_secure());
}

TEST_CASE("what is no http or https URL has no origin", "[http][url]") {
  const std::string url =
      GENERATE(as<std::string>{}, "", "r.example", "r.example:5000/v2/", "//r.example/", "/v2/",
               "ftp://r.example/", "file:///etc/passwd", "https://", "https:///r.example/",
               "https:/r.example/", "https:r.example", "https://:5000/", "https://r.example:65536/",
               "https://r.example:port/", "https://a b/", "https://r.example\n/", "https://[::1/",
               "https://[::g]/", "https://@/", "https://?x",
               "https://b\xc3\xbc"
               "cher.example/",
               // fullwidth digits, which IDNA makes 127.0.0.1
               "http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/", "https://%62%c3%bc.example/",
               "https://a%2fb/", "https://a%00b/");
  CAPTURE(url);
  CHECK_FALSE(http::Origin::try_of(url).has_value());
  CHECK_THROWS_AS(http::Origin::of(url), Error);
  CHECK_FALSE(http::same_origin(url, url));
  CHECK_FALSE(http::same_origin(url, "https://r.example"));
}

TEST_CASE("a NUL ends no URL early", "[http][url]") {
  const std::string url("https://r.example\0.other.example/", 34);
  CHECK_FALSE(http::Origin::try_of(url).has_value());
  CHECK_THROWS_AS(http::resolve_url("https://r.example/", std::string("/a\0b", 4)), Error);
}

TEST_CASE("a wrong URL is quoted without its secrets", "[http][url]") {
  try {
    (void)http::Origin::of("ftp://user:secret@r.example/x?token=secret");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    CHECK(error.message() == "cannot use 'ftp://r.example/x': not an http or https URL");
  }
}

TEST_CASE("one different part makes another origin", "[http][url]") {
  const std::string other =
      GENERATE("http://r.example:5000", "https://r.example", "https://r.example:5001",
               "https://q.example:5000", "https://sub.r.example:5000", "https://r.example.:5000");
  CAPTURE(other);
  CHECK_FALSE(http::same_origin("https://r.example:5000/a", other));
}

TEST_CASE("locations are resolved as RFC 3986 says, and keep their query", "[http][url]") {
  const std::string base = "https://r.example:5000/v2/team/blobs/uploads/?old=1";
  const auto [location, expected] = GENERATE(table<std::string, std::string>({
      {"/v2/a/blobs/uploads/7?_state=a%2Fb%3D&x=y", "/v2/a/blobs/uploads/7?_state=a%2Fb%3D&x=y"},
      {"7?_state=x", "/v2/team/blobs/uploads/7?_state=x"},
      {"./7", "/v2/team/blobs/uploads/7"},
      {"../x/7", "/v2/team/blobs/x/7"},
      {"/a/../../b", "/b"},
      {"?digest=sha256:00", "/v2/team/blobs/uploads/?digest=sha256:00"},
      {"", "/v2/team/blobs/uploads/?old=1"},
      {"https://r.example:5000/x?a=../b", "/x?a=../b"},
      {"/a b?c d", "/a%20b?c+d"},
  }));
  CAPTURE(location);
  CHECK(http::resolve_url(base, location) == "https://r.example:5000" + expected);
  CHECK(http::resolve_url("https://r.example/a", "//cdn.example/b?c") == "https://cdn.example/b?c");
  CHECK(http::resolve_url("https://r.example/a", "http://other.example:80/b") ==
        "http://other.example:80/b");
}

TEST_CASE("a location that leads nowhere is an error without secrets", "[http][url]") {
  const std::string location =
      GENERATE("ftp://user:secret@r.example/", "file:///etc/passwd?secret",
               "https://user:secret@[::1/", "//user:secret@:5000/", "https://");
  CAPTURE(location);
  try {
    (void)http::resolve_url("https://r.example/a?secret", location);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    CHECK_THAT(error.message(), !ContainsSubstring("secret"));
  }
  CHECK_THROWS_AS(http::resolve_url("r.example", "https://r.example/"), Error);
}

TEST_CASE("addresses that lead inwards are known in every spelling", "[http][url]") {
  const auto [host, inwards] = GENERATE(table<std::string, bool>({
      {"localhost", true},
      {"LocalHost.", true},
      {"registry.localhost", true},
      {"notlocalhost", false},
      {"localhost.example", false},
      {"127.0.0.1", true},
      {"127.0.0.1.", true},
      {"127.255.0.9", true},
      {"127.1", true},
      {"0177.0.0.1", true},
      {"0x7f.1", true},
      {"0x7F000001", true},
      {"2130706433", true},
      {"0", true},
      {"10.0.0.1", true},
      {"10.1", true},
      {"9.255.255.255", false},
      {"11.0.0.0", false},
      {"100.64.0.1", true},
      {"100.128.0.1", false},
      {"169.254.169.254", true},
      {"169.253.1.1", false},
      {"172.15.0.1", false},
      {"172.16.0.1", true},
      {"172.31.255.255", true},
      {"172.32.0.1", false},
      {"192.168.1.1", true},
      {"192.169.1.1", false},
      {"3232235777", true}, // 192.168.1.1
      {"93.184.216.34", false},
      {"::1", true},
      {"[::1]", true},
      {"::", true},
      {"0:0:0:0:0:0:0:1", true},
      {"fe80::1", true},
      {"[fe80::1%25eth0]", true},
      {"fe80::1%eth0", true},
      {"febf::1", true},
      {"fc00::1", true},
      {"FD12:3456::1", true},
      {"fe00::1", false},
      {"2001:db8::1", false},
      {"2606:2800:220:1::1", false},
      {"::ffff:127.0.0.1", true},
      {"::ffff:7f00:1", true},
      {"::ffff:93.184.216.34", false},
      {"::10.0.0.1", true},
      {"64:ff9b::10.0.0.1", true},
      {"64:ff9b::5db8:d822", false},
      {"r.example", false},
      {"10.example", false},
      {"", false},
      {".", false},
      {"[]", false},
  }));
  CAPTURE(host);
  CHECK(http::is_literal_private_address(host) == inwards);
}

TEST_CASE("the host of an origin is fit for the question whether it leads inwards", "[http][url]") {
  const std::string url = GENERATE("http://%30x7f.1/", "http://127%2e0%2e0%2e1/", "http://[::1]/",
                                   "http://[::ffff:7f00:1]:80/", "http://017700000001/",
                                   "http://LOCALHOST:5000/", "http://user@10.1:5000/");
  CAPTURE(url);
  CHECK(http::is_literal_private_address(http::Origin::of(url).host()));
}
