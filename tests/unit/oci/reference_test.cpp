#include "aipack/core/error.hpp"
#include "aipack/oci/reference.hpp"

#include "support/catch.hpp"

using namespace aipack;
using oci::Reference;

namespace {

const std::string digest = "sha256:" + std::string(64, 'a');

} // namespace

TEST_CASE("Reference::parse takes references apart as docker and podman do", "[oci][reference]") {
  const auto [text, registry, repository, tag, has_digest] =
      GENERATE_COPY(table<std::string, std::string, std::string, std::string, bool>({
          {"model", "", "model", "", false},
          {"model:1", "", "model", "1", false},
          {"team/model:1.0", "", "team/model", "1.0", false},
          {"localhost:5000", "", "localhost", "5000", false},
          {"localhost/model", "localhost", "model", "", false},
          {"localhost:5000/a/b/c:T-1_x.y", "localhost:5000", "a/b/c", "T-1_x.y", false},
          {"ghcr.io/a/b@" + digest, "ghcr.io", "a/b", "", true},
          {"ghcr.io/a/b:v1@" + digest, "ghcr.io", "a/b", "v1", true},
          {"Registry.Example:443/x", "Registry.Example:443", "x", "", false},
          {"127.0.0.1:5000/x", "127.0.0.1:5000", "x", "", false},
          {"[::1]:5000/x:y", "[::1]:5000", "x", "y", false},
          {"[fe80::1]/x", "[fe80::1]", "x", "", false},
          {"a__b/c---d.e_f", "", "a__b/c---d.e_f", "", false},
      }));
  CAPTURE(text);
  const Reference reference = Reference::parse(text);
  CHECK(reference.registry() == registry);
  CHECK(reference.repository() == repository);
  CHECK(reference.tag() == tag);
  CHECK(reference.digest().has_value() == has_digest);
  CHECK(reference.to_string() == text);
  CHECK(Reference::parse(reference.to_string()) == reference);
}

TEST_CASE("Reference::parse says which part is wrong", "[oci][reference]") {
  const auto [text, part] = GENERATE_COPY(table<std::string, std::string>({
      {"", "it is empty"},
      {"Model", "upper-case"},
      {"a/", "repository"},
      {"/a", "repository"},
      {"ghcr.io/", "names no repository"},
      {"a//b", "repository"},
      {"a..b", "repository"},
      {"a___b", "repository"},
      {"-a", "repository"},
      {"a.", "repository"},
      {"model:", "its tag is empty"},
      {"model:.1", "its tag"},
      {"model:a/b", "its port"},
      {"model:a b", "its tag"},
      {"model:" + std::string(129, 'a'), "longer than 128"},
      {"model@sha256:abc", "its digest"},
      {"model@", "its digest"},
      {"model@" + digest + "@" + digest, "its digest"},
      {"host:0/a", "its port"},
      {"host:65536/a", "its port"},
      {"host:/a", "its port"},
      {"host:+1/a", "its port"},
      {"-x.io/a", "its registry"},
      {"a..io/b", "its registry"},
      {"[::1/a", "its registry"},
      {"[::1]5000/a", "its registry"},
      {"https://ghcr.io/a", "no scheme"},
      {"a b", "repository"},
      {"mod\xc3\xa9l", "repository"},
      {std::string(256, 'a'), "longer than 255"},
      {std::string(2000, 'a'), "too long"},
      {std::string("a\0b", 3), "repository"},
  }));
  CAPTURE(text);
  CHECK_FALSE(Reference::try_parse(text));
  try {
    (void)Reference::parse(text);
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    CHECK_THAT(error.message(), ContainsSubstring(part));
    CHECK_THAT(error.message(), ContainsSubstring("cannot parse reference '"));
    CHECK_FALSE(error.hint().empty());
  }
}
