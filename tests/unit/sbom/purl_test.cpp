#include "purl.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::sbom;

TEST_CASE("Package URLs of Debian packages", "[sbom][purl]") {
  const Package package{
      .name = "libstdc++6", .version = "4:14.2.0-1+b1~x", .architecture = "amd64"};
  CHECK(deb_purl(package, "trixie") ==
        "pkg:deb/debian/libstdc%2B%2B6@4:14.2.0-1%2Bb1~x?arch=amd64&distro=trixie");
  CHECK(deb_purl(package, "") == "pkg:deb/debian/libstdc%2B%2B6@4:14.2.0-1%2Bb1~x?arch=amd64");
  auto secure = package;
  secure.suite = "trixie-security";
  CHECK(deb_purl(secure, "sid").ends_with("&distro=trixie"));
}

TEST_CASE("Package URLs of images", "[sbom][purl]") {
  const auto digest = oci::Digest::of("x");
  CHECK(oci_purl("digits", digest) == "pkg:oci/digits@sha256%3A" + digest.hex());
  CHECK(oci_purl("Digits, und mehr!", digest, "arm64") ==
        "pkg:oci/digits-und-mehr@sha256%3A" + digest.hex() + "?arch=arm64");
  CHECK(oci_purl("\xc3\xa4", digest) == "pkg:oci/image@sha256%3A" + digest.hex());
  CHECK(base_purl({.name = "registry.example:5000/team/base:1", .digest = digest}) ==
        "pkg:oci/base@sha256%3A" + digest.hex() +
            "?repository_url=registry.example:5000/team/base&tag=1");
  CHECK(base_purl({.name = "base", .digest = {}}).empty());
}
