#include "aipack/core/error.hpp"
#include "aipack/image/location.hpp"

#include "support/catch.hpp"

using namespace aipack;
using aipack::image::Location;

TEST_CASE("Location reads the transports of skopeo", "[image][location]") {
  using Row = std::tuple<std::string, Location::Kind, std::string, std::string>;
  const auto [text, kind, path, tag] =
      GENERATE(table<std::string, Location::Kind, std::string, std::string>(
          {Row{"oci:./digits.oci", Location::Kind::layout, "./digits.oci", ""},
           Row{"oci:/var/x:v1", Location::Kind::layout, "/var/x", "v1"},
           Row{"oci:x:docker.io/a/b:v1", Location::Kind::layout, "x", "docker.io/a/b:v1"},
           Row{"oci-archive:x.tar", Location::Kind::oci_archive, "x.tar", ""},
           Row{"oci-archive:x.tar:latest", Location::Kind::oci_archive, "x.tar", "latest"},
           Row{"docker-archive:x.tar", Location::Kind::docker_archive, "x.tar", ""},
           Row{"docker-archive:x.tar:digits:v1", Location::Kind::docker_archive, "x.tar",
               "digits:v1"}}));
  const auto location = Location::parse(text);
  CHECK(location.kind == kind);
  CHECK(location.path == path);
  CHECK(location.tag == tag);
  CHECK_FALSE(location.reference);
  CHECK(location.to_string() == text);
  CHECK(Location::parse(location.to_string()) == location);
}

TEST_CASE("Location reads registries with and without docker://", "[image][location]") {
  const auto bare = Location::parse("r.example/team/digits:v1");
  CHECK(bare.kind == Location::Kind::registry);
  REQUIRE(bare.reference);
  CHECK(bare.reference->registry() == "r.example");
  CHECK(bare == Location::parse("docker://r.example/team/digits:v1"));
  CHECK(bare.to_string() == "docker://r.example/team/digits:v1");
  CHECK(Location::parse("127.0.0.1:5000/digits").reference->registry() == "127.0.0.1:5000");
}

TEST_CASE("Location says what would be right", "[image][location]") {
  using Row = std::tuple<std::string, ErrorCode>;
  const auto [text, code] = GENERATE(table<std::string, ErrorCode>(
      {Row{"", ErrorCode::invalid_input}, Row{"oci:", ErrorCode::invalid_input},
       Row{"oci::tag", ErrorCode::invalid_input}, Row{"oci:dir:", ErrorCode::invalid_input},
       Row{"./digits.oci", ErrorCode::invalid_input},
       Row{"/tmp/digits.oci", ErrorCode::invalid_input}, Row{"docker://", ErrorCode::invalid_input},
       Row{"docker://UPPER/x", ErrorCode::invalid_input},
       Row{"containers-storage:x", ErrorCode::unsupported},
       Row{"docker-daemon:x:latest", ErrorCode::unsupported}}));
  try {
    static_cast<void>(Location::parse(text));
    FAIL("accepted " << text);
  } catch (const Error& error) {
    INFO(text << ": " << error.what());
    CHECK(error.code() == code);
  }
}
