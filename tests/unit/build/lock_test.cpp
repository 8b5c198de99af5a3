#include "aipack/build/plan.hpp"
#include "aipack/core/error.hpp"

#include "support/catch.hpp"

#include <fmt/format.h>

using namespace aipack;
using namespace aipack::build;

namespace {

const deb::Mirrors mirrors{"http://one.example/debian", "http://one.example/debian-security",
                           "test"};

Plan example() {
  runtime::Runtime runtime;
  runtime.name = "onnxruntime";
  runtime.version = "1.21";
  runtime.suite = "trixie";
  runtime.packages = {"libonnxruntime1.21"};
  runtime.entrypoint = {"/usr/bin/aipack-serve"};
  runtime.models_directory = "/models";
  const deb::Package package{
      .name = "libre2-11",
      .version = "20240702-3+b1",
      .architecture = "amd64",
      .source_suite = "trixie",
      .url = "http://one.example/debian/pool/main/r/re2/libre2-11_20240702-3+b1_amd64.deb",
      .digest = oci::Digest::of("package"),
      .size_bytes = 12,
      .installed_bytes = 34,
      .section = "libs"};
  auto security = package;
  security.name = "libssl3t64";
  security.source_suite = "trixie-security";
  security.url =
      "http://one.example/debian-security/pool/updates/main/o/openssl/libssl3t64_3_amd64.deb";
  ImagePlan image{.platform = oci::Platform::parse("linux/amd64"),
                  .runtime = runtime,
                  .releases = {{.suite = "trixie",
                                .version = "13.7",
                                .date = 1789000000,
                                .digest = oci::Digest::of("release")}},
                  .indexes = {{.suite = "trixie",
                               .path = "main/binary-amd64/Packages",
                               .digest = oci::Digest::of("index"),
                               .size_bytes = 5}},
                  .choices = {{.package = package,
                               .required_by = "libonnxruntime1.21",
                               .relation = "libre2-11 (>= 20240702)"},
                              {.package = security, .required_by = {}, .relation = "libssl3t64"}},
                  .assumed = {{"debconf", "ca-certificates"}},
                  .server_digest = oci::Digest::of("server")};
  Plan plan;
  plan.models = {{.name = "digits",
                  .files = {{.path = "digits.onnx", .source = "/x/digits.onnx", .size_bytes = 7}},
                  .digests = {oci::Digest::of("model")}}};
  plan.images = {image};
  return plan;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("a lock reads back as the plan it pins", "[build][lock]") {
  const auto plan = example();
  const auto lock = read_lock(write_lock(plan), "aipack.lock", mirrors);
  REQUIRE(lock.images.size() == 1);
  CHECK(lock.images.front() == plan.images.front());
  REQUIRE(lock.models.size() == 1);
  CHECK(lock.models.front().files.front().digest == plan.models.front().digests.front());
  CHECK(write_lock(plan) == write_lock(plan));
}

TEST_CASE("a lock does not name a mirror, and is rebuilt on the one in force", "[build][lock]") {
  const auto text = write_lock(example());
  CHECK_THAT(text, !ContainsSubstring("one.example"));
  const auto lock = read_lock(
      text, "aipack.lock", {"https://two.example/debian", "https://two.example/security", "test"});
  CHECK(lock.images.front().choices[0].package.url ==
        "https://two.example/debian/pool/main/r/re2/libre2-11_20240702-3+b1_amd64.deb");
  CHECK(lock.images.front().choices[1].package.url ==
        "https://two.example/security/pool/updates/main/o/openssl/libssl3t64_3_amd64.deb");
}

TEST_CASE("a lock that was tampered with is refused", "[build][lock]") {
  const auto text = write_lock(example());
  const auto refuse = [](const std::string& broken, ErrorCode code) {
    try {
      static_cast<void>(read_lock(broken, "aipack.lock", mirrors));
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == code);
      CHECK_THAT(error.message(), ContainsSubstring("aipack.lock"));
    }
  };
  refuse("", ErrorCode::corrupt);
  refuse("[]", ErrorCode::corrupt);
  refuse(text.substr(0, text.size() / 2), ErrorCode::corrupt);
  refuse(replaced(text, "\"aipack_lock\": 1", "\"aipack_lock\": 99"), ErrorCode::unsupported);
  refuse(replaced(text, "pool/main/r", "pool/../../r"), ErrorCode::corrupt);
  refuse(replaced(text, "pool/main/r", "http://evil.example/r"), ErrorCode::corrupt);
  refuse(replaced(text, "\"size_bytes\": 12", "\"size_bytes\": -12"), ErrorCode::corrupt);
  refuse(replaced(text, "sha256:", "md5:"), ErrorCode::corrupt);
  // Names of models and their files become paths where a build is repeated.
  for (const auto* name : {"/tmp/x", "../x", "..", ".", "a/b", ""}) {
    refuse(replaced(text, "\"name\": \"digits\"", fmt::format("\"name\": \"{}\"", name)),
           ErrorCode::corrupt);
  }
  for (const auto* path : {"/tmp/x", "../x", "a/../../x", "", "./x", "a//b"}) {
    refuse(replaced(text, "\"path\": \"digits.onnx\"", fmt::format("\"path\": \"{}\"", path)),
           ErrorCode::corrupt);
  }
}
