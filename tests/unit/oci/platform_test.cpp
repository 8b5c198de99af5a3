#include "aipack/core/error.hpp"
#include "aipack/oci/platform.hpp"

#include "support/catch.hpp"

#include <algorithm>

using namespace aipack;
using oci::Platform;

TEST_CASE("Platform::parse accepts the names that people and tools use", "[oci][platform]") {
  const auto [text, printed] = GENERATE(table<const char*, const char*>({
      {"linux/amd64", "linux/amd64"},
      {"amd64", "linux/amd64"},
      {"x86_64", "linux/amd64"},
      {"linux/x86_64", "linux/amd64"},
      {"aarch64", "linux/arm64"},
      {"arm64", "linux/arm64"},
      {"arm64/v8", "linux/arm64"},
      {"linux/arm64/v8", "linux/arm64"},
      {"linux/arm/v7", "linux/arm/v7"},
      {"riscv64", "linux/riscv64"},
      {"windows/amd64", "windows/amd64"},
      {"unknown/unknown", "unknown/unknown"},
  }));
  CAPTURE(text);
  const Platform platform = Platform::parse(text);
  CHECK(platform.to_string() == printed);
  CHECK(Platform::parse(platform.to_string()) == platform);
}

TEST_CASE("Platform::parse refuses what is no platform", "[oci][platform]") {
  const char* text = GENERATE("", "/", "linux/", "/amd64", "linux/amd64/v1/x", "LINUX/AMD64",
                              "linux amd64", "amd46", "linux//amd64", "linux/arm64/v8/", "amd64\n");
  CAPTURE(text);
  CHECK_THROWS_AS(Platform::parse(text), Error);
}

TEST_CASE("arm64 is one platform with and without its only variant", "[oci][platform]") {
  const Platform with{.architecture = "arm64", .variant = "v8"};
  const Platform without{.architecture = "arm64", .variant = ""};
  CHECK(with == without);
  CHECK((with <=> without) == std::strong_ordering::equal);
  CHECK(with.to_string() == "linux/arm64");
  CHECK(Platform::parse("linux/arm64/v8").variant.empty());
  CHECK(Platform{.architecture = "arm64", .variant = "v9"} != with);
}

TEST_CASE("Platforms stand in the order of an index", "[oci][platform]") {
  std::vector<Platform> platforms{Platform::parse("linux/s390x"), Platform::parse("windows/amd64"),
                                  Platform::parse("riscv64"),     Platform::parse("linux/386"),
                                  Platform::parse("arm64"),       Platform::parse("amd64")};
  std::sort(platforms.begin(), platforms.end());
  std::string text;
  for (const Platform& platform : platforms) {
    text += platform.to_string() + " ";
  }
  CHECK(text == "linux/amd64 linux/arm64 linux/riscv64 linux/386 linux/s390x windows/amd64 ");
}

TEST_CASE("Platform::parse_list sorts, and drops what stands twice", "[oci][platform]") {
  const auto platforms = Platform::parse_list("riscv64, linux/arm64/v8,x86_64,aarch64");
  CHECK(platforms == Platform::all());
  CHECK(Platform::parse_list("all") == Platform::all());
  CHECK(Platform::parse_list("all,amd64") == Platform::all());
  CHECK_THROWS_AS(Platform::parse_list(""), Error);
  CHECK_THROWS_AS(Platform::parse_list("amd64,,arm64"), Error);
}

TEST_CASE("architecture_names speaks Debian and multiarch", "[oci][platform]") {
  CHECK(oci::architecture_names(Platform::parse("arm64/v8")).triplet == "aarch64-linux-gnu");
  CHECK(oci::architecture_names(Platform::parse("amd64")).triplet == "x86_64-linux-gnu");
  CHECK(oci::architecture_names(Platform::parse("riscv64")).debian == "riscv64");
  try {
    (void)oci::architecture_names(Platform::parse("linux/s390x"));
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
  }
}

TEST_CASE("Platform::host is a platform that parses", "[oci][platform]") {
  const Platform host = Platform::host();
  CHECK(Platform::parse(host.to_string()) == host);
#if defined(__x86_64__)
  CHECK(host.architecture == "amd64");
#elif defined(__aarch64__)
  CHECK(host.architecture == "arm64");
#endif
}
