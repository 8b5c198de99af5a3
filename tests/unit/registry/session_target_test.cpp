#include "session.hpp"
#include "session_target.hpp"
#include "support/catch.hpp"

using namespace aipack;
using registry::check_destination;

TEST_CASE("where a server may send us", "[registry][session]") {
  struct Case {
    const char* endpoint;
    const char* from; ///< empty: it names the place itself
    const char* to;
    bool may;
  };
  const auto c = GENERATE(values<Case>({
      {"https://r.example", "", "https://storage.example/x?sig=1", true},
      {"https://r.example", "https://r.example/a", "https://storage.example/x", true},
      {"https://r.example", "", "https://r.example:8443/x", true},
      // Never down to plain HTTP.
      {"https://r.example", "", "http://storage.example/x", false},
      {"https://r.example", "", "http://r.example/x", false},
      {"http://r.example", "https://storage.example/a", "http://storage.example/b", false},
      {"https://r.example", "http://storage.example/a", "http://storage.example/b", false},
      {"http://r.example", "", "http://storage.example/x", true},
      {"http://r.example", "", "https://storage.example/x", true},
      // Not into this machine or its network.
      {"https://r.example", "", "https://127.0.0.1/x", false},
      {"https://r.example", "", "https://localhost/x", false},
      {"https://r.example", "", "https://[::1]/x", false},
      {"https://r.example", "", "https://169.254.169.254/latest/meta-data", false},
      {"https://r.example", "", "https://10.1.2.3/x", false},
      {"https://r.example", "", "https://192.168.0.1/x", false},
      {"https://r.example", "", "https://[fd00::1]/x", false},
      {"https://r.example", "", "https://[::ffff:10.0.0.1]/x", false},
      {"https://r.example", "", "https://2130706433/x", false},
      {"http://127.0.0.1:5000", "", "http://127.0.0.1:5001/x", true},
      {"http://127.0.0.1:5000", "", "http://127.1:5001/x", true},
      {"http://127.0.0.1:5000", "", "http://127.0.0.2:5001/x", false},
      {"http://127.0.0.1:5000", "", "http://localhost:5001/x", false},
      {"https://10.0.0.1", "", "https://10.0.0.1:9000/x", true},
      {"https://10.0.0.1", "", "https://10.0.0.2/x", false},
      // Only to what speaks HTTP.
      {"http://r.example", "", "ftp://r.example/x", false},
      {"http://r.example", "", "file:///etc/passwd", false},
      {"http://r.example", "", "/x", false},
      {"http://r.example", "", "", false},
  }));
  CAPTURE(c.endpoint, c.from, c.to);
  const auto check = [&] {
    check_destination(http::Origin::of(c.endpoint), c.from, c.to, "redirect", "read it");
  };
  if (c.may) {
    CHECK_NOTHROW(check());
  } else {
    CHECK_THROWS_AS(check(), registry::RegistryError);
  }
}

TEST_CASE("a refused place is named without its secrets", "[registry][session]") {
  try {
    check_destination(http::Origin::of("https://r.example"), "",
                      "http://user:secret-1@storage.example/x?sig=secret-2#secret-3", "redirect",
                      "read blob 'sha256:1'");
    FAIL("it was allowed");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::denied);
    CHECK(error.message() ==
          "cannot read blob 'sha256:1': 'https://r.example' names 'http://storage.example/x' as "
          "its redirect, which is not https as the registry is");
  }
}

TEST_CASE("paths of the API hold nothing that would change their meaning", "[registry][session]") {
  CHECK(registry::api_path("team/model", "manifests", "1.0") == "/v2/team/model/manifests/1.0");
  CHECK(registry::api_path("team/model", "blobs", "sha256:ab") == "/v2/team/model/blobs/sha256:ab");
  CHECK(registry::api_path("team/model", "blobs/uploads", "") == "/v2/team/model/blobs/uploads/");
  CHECK(registry::api_path("a?b", "tags", "x/../y#z") == "/v2/a%3Fb/tags/x%2F..%2Fy%23z");
  CHECK(registry::percent_encoded("repository:a/b:pull,push ~") ==
        "repository%3Aa%2Fb%3Apull%2Cpush%20~");
}
