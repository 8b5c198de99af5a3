#include "aipack/core/error.hpp"
#include "aipack/oci/document.hpp"

#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::oci;

namespace {

const std::string a64(64, 'a');
const std::string b64(64, 'b');
const Digest digest_a = Digest::parse("sha256:" + a64);
const Digest digest_b = Digest::parse("sha256:" + b64);

Manifest small_manifest() {
  return {.config = {.media_type = std::string(media_type::config),
                     .digest = digest_a,
                     .size_bytes = 7},
          .layers = {{.media_type = std::string(media_type::layer_tar_zstd),
                      .digest = digest_b,
                      .size_bytes = INT64_MAX,
                      .annotations = {{"z", "last"}, {"a", "\xc3\xa9\"\n"}}}},
          .annotations = {{"org.example", "<&>"}}};
}

Config full_config() {
  return {
      .created = "2026-09-12T07:55:41Z",
      .platform = Platform::parse("arm64"),
      .user = "65532:65532",
      .exposed_ports = {"8080/tcp"},
      .env = {"B=2", "A=1"},
      .entrypoint = {"/usr/bin/serve"},
      .cmd = {"--port", "8080"},
      .working_directory = "/models",
      .stop_signal = "SIGTERM",
      .labels = {{"k", "v"}},
      .diff_ids = {digest_a, digest_b},
      .history = {{.created = "2026-09-12T07:55:41Z", .created_by = "aipack", .comment = "base"},
                  {.created = "", .created_by = "x", .comment = "", .empty_layer = true}}};
}

/// The error that `fn` throws; fails the test when it throws none.
template <class Fn>
FormatError failure_of(Fn fn) {
  try {
    (void)fn();
  } catch (const FormatError& error) {
    return error;
  }
  FAIL("accepted");
  throw; // not reached
}

} // namespace

TEST_CASE("seal writes canonical JSON of a manifest", "[oci][document]") {
  const auto sealed = seal(small_manifest());
  const std::string expected =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
      R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:)" +
      a64 +
      R"(","size":7},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":"sha256:)" +
      b64 +
      R"(","size":9223372036854775807,"annotations":{"a":")"
      "\xc3\xa9"
      R"(\"\n","z":"last"}}],)"
      R"("annotations":{"org.example":"<&>"}})";
  CHECK(sealed.bytes() == expected);
  CHECK(sealed.descriptor().media_type == media_type::manifest);
  CHECK(sealed.descriptor().digest == Digest::of(expected));
  CHECK(sealed.descriptor().size_bytes == expected.size());
}

TEST_CASE("seal writes canonical JSON of a config, arm64 with its variant", "[oci][document]") {
  const auto sealed = seal(full_config());
  CHECK(
      sealed.bytes() ==
      R"({"created":"2026-09-12T07:55:41Z","architecture":"arm64","os":"linux","variant":"v8",)"
      R"("config":{"User":"65532:65532","ExposedPorts":{"8080/tcp":{}},"Env":["B=2","A=1"],)"
      R"("Entrypoint":["/usr/bin/serve"],"Cmd":["--port","8080"],"WorkingDir":"/models",)"
      R"("Labels":{"k":"v"},"StopSignal":"SIGTERM"},"rootfs":{"type":"layers","diff_ids":["sha256:)" +
          a64 + R"(","sha256:)" + b64 +
          R"("]},"history":[{"created":"2026-09-12T07:55:41Z","created_by":"aipack","comment":"base"},)"
          R"({"created_by":"x","empty_layer":true}]})");
}

TEST_CASE("seal writes the platform of an index entry", "[oci][document]") {
  Index index;
  index.manifests.push_back({.media_type = std::string(media_type::manifest),
                             .digest = digest_a,
                             .size_bytes = 1,
                             .platform = Platform::parse("arm64")});
  index.manifests.push_back({.media_type = std::string(media_type::manifest),
                             .digest = digest_a,
                             .size_bytes = 1,
                             .platform = Platform::parse("amd64")});
  const std::string bytes = seal(index).bytes();
  CHECK_THAT(bytes, ContainsSubstring(
                        R"("platform":{"architecture":"arm64","os":"linux","variant":"v8"})"));
  CHECK_THAT(bytes, ContainsSubstring(R"("platform":{"architecture":"amd64","os":"linux"})"));
}

TEST_CASE("What seal writes, parse reads back", "[oci][document]") {
  Manifest manifest = small_manifest();
  manifest.artifact_type = "application/x";
  manifest.subject = manifest.config;
  CHECK(parse_manifest(seal(manifest).bytes(), "m").value() == manifest);

  Index index{.artifact_type = "application/y"};
  index.manifests.push_back({.media_type = std::string(media_type::manifest),
                             .digest = digest_b,
                             .size_bytes = 2,
                             .platform = Platform::parse("arm64"),
                             .artifact_type = "application/z"});
  index.subject = manifest.config;
  index.annotations = {{"k", ""}};
  CHECK(parse_index(seal(index).bytes(), "i").value() == index);

  const auto config = parse_config(seal(full_config()).bytes(), "c");
  CHECK(config.value() == full_config());
  CHECK(config.descriptor().media_type == media_type::config);
}

TEST_CASE("parse keeps the exact bytes that it was given", "[oci][document]") {
  const std::string spaced =
      R"({ "schemaVersion": 2,  "future": {"x": [1.5, null]}, "manifests": null })";
  const auto index = parse_index(spaced, "index.json");
  CHECK(index.bytes() == spaced);
  CHECK(index.descriptor().digest == Digest::of(spaced));
  CHECK(index.descriptor().media_type == media_type::index);
  CHECK(index->manifests.empty());
}

TEST_CASE("parse reads Docker's documents", "[oci][document]") {
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":1,"digest":"sha256:)" +
      a64 + R"("},"layers":null})";
  CHECK(parse_manifest(manifest, "m").descriptor().media_type == media_type::docker_manifest);
  const std::string list =
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]})";
  CHECK(parse_index(list, "l")->media_type == media_type::docker_manifest_list);
  const std::string config =
      R"({"architecture":"arm64","variant":"v8","os":"linux","config":{"Env":null,"Cmd":["a"],"Labels":null},"rootfs":{"type":"layers","diff_ids":null}})";
  CHECK(parse_config(config, "c")->platform == Platform::parse("arm64"));
}

TEST_CASE("parse_manifest refuses hostile documents", "[oci][document]") {
  const std::string config = R"({"mediaType":"t","digest":"sha256:)" + a64 + R"(","size":1})";
  const auto with_config = [&](const std::string& text) {
    return R"({"schemaVersion":2,"config":)" + text + "}";
  };
  const auto with_size = [&](const std::string& size) {
    return with_config(R"({"mediaType":"t","digest":"sha256:)" + a64 + R"(","size":)" + size + "}");
  };
  REQUIRE_NOTHROW(parse_manifest(with_config(config), "m"));
  REQUIRE_NOTHROW(parse_manifest(with_size("9223372036854775807"), "m"));

  const auto [text, cause] = GENERATE_COPY(table<std::string, std::string>({
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"[]", "no object"},
      {"{} {}", "not valid JSON"},
      {"{\"a\":\"\xff\"}", "not valid JSON"},
      {R"({"schemaVersion":2})", "'config' is missing"},
      {R"({"config":)" + config + "}", "'schemaVersion' is missing"},
      {R"({"schemaVersion":1,"config":)" + config + "}", "'schemaVersion' must be 2"},
      {with_size("-1"), "'config.size' must be a whole number"},
      {with_size("1.0"), "'config.size' must be a whole number"},
      {with_size("9223372036854775808"), "'config.size' must be a whole number"},
      {with_size("99999999999999999999999"), "'config.size' must be a whole number"},
      {with_size("1e999"), "not valid JSON"},
      {with_size("\"1\""), "'config.size' must be a whole number"},
      {with_config("[]"), "'config' must be an object"},
      {with_config(R"({"mediaType":"t","digest":"sha256:AA","size":1})"),
       "'config.digest' must be"},
      {with_config(R"({"mediaType":1,"digest":"sha256:)" + a64 + R"(","size":1})"),
       "'config.mediaType' must be a string"},
      {R"({"schemaVersion":2,"schemaVersion":2,"config":)" + config + "}", "stands twice"},
      {with_config(R"({"size":1,"mediaType":"t","digest":"sha256:)" + a64 + R"(","size":2})"),
       "stands twice"},
      {R"({"schemaVersion":2,"config":)" + config + R"(,"manifests":[]})", "another kind"},
      {R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":)" +
           config + "}",
       "another kind"},
      {R"({"schemaVersion":2,"config":)" + config + R"(,"layers":[)" + config + ",7]}",
       "'layers[1]' must be an object"},
      {R"({"schemaVersion":2,"config":)" + config + R"(,"layers":{}})", "'layers' must be a list"},
      {R"({"schemaVersion":2,"config":)" + config + R"(,"annotations":{"a":1}})",
       "'annotations.a' must be a string"},
      {R"({"x":)" + std::string(100, '[') + std::string(100, ']') + "}", "nested"},
      {std::string(200000, '['), "nested"},
      {std::string(max_manifest_bytes + 1, ' '), "larger than"},
  }));
  CAPTURE(text.substr(0, 200));
  const FormatError error = failure_of([&bytes = text] { return parse_manifest(bytes, "evil"); });
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK_THAT(error.message(), ContainsSubstring(cause));
  CHECK_THAT(error.message(), ContainsSubstring("evil"));
}

TEST_CASE("a sha512 digest is no damage, and not supported", "[oci][document]") {
  const std::string good = "sha512:" + std::string(128, 'a');
  const auto [digest, expected] = GENERATE_COPY(table<std::string, ErrorCode>({
      {good, ErrorCode::unsupported},
      {good + "a", ErrorCode::corrupt},
      {good.substr(0, 70), ErrorCode::corrupt},
      {"sha512:" + std::string(128, 'A'), ErrorCode::corrupt},
  }));
  CAPTURE(digest);
  const std::string text = R"({"schemaVersion":2,"manifests":[{"mediaType":"t","digest":")" +
                           digest + R"(","size":1}]})";
  const FormatError error = failure_of([&text] { return parse_index(text, "i"); });
  CHECK(error.code() == expected);
  CHECK_THAT(error.message(), ContainsSubstring("'manifests[0].digest'"));
  CHECK_THAT(error.message(), ContainsSubstring("sha256"));
}

TEST_CASE("parse_index refuses a manifest, and a document that is both", "[oci][document]") {
  const std::string manifest = seal(small_manifest()).bytes();
  CHECK_THROWS_AS(parse_index(manifest, "i"), FormatError);
  CHECK_THROWS_AS(parse_index(R"({"schemaVersion":2,"manifests":[],"layers":[]})", "i"),
                  FormatError);
  CHECK_NOTHROW(parse_index(R"({"schemaVersion":2,"manifests":[],"layers":null})", "i"));
}

TEST_CASE("parse_config needs a platform and layers", "[oci][document]") {
  const char* text = GENERATE(
      R"({})", R"({"os":"linux","architecture":"amd64"})",
      R"({"os":"linux","architecture":"amd64","rootfs":{"type":"other"}})",
      R"({"os":"linux","rootfs":{"type":"layers"}})",
      R"({"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["x"]}})");
  CAPTURE(text);
  CHECK_THROWS_AS(parse_config(text, "c"), FormatError);
}

TEST_CASE("seal refuses what JSON or the specification cannot hold", "[oci][document]") {
  Manifest manifest = small_manifest();
  manifest.layers[0].size_bytes = std::uint64_t{INT64_MAX} + 1;
  CHECK_THROWS_AS(seal(manifest), Error);
  Manifest no_text = small_manifest();
  no_text.annotations["a"] = "\xff";
  CHECK_THROWS_AS(seal(no_text), Error);
  Manifest large = small_manifest();
  large.annotations["a"] = std::string(max_manifest_bytes, 'x');
  CHECK_THROWS_AS(seal(large), Error);
}

TEST_CASE("seal writes ports as the set that they are", "[oci][document]") {
  Config config = full_config();
  config.exposed_ports = {"9090/tcp", "8080/tcp", "9090/tcp"};
  Config sorted = full_config();
  sorted.exposed_ports = {"8080/tcp", "9090/tcp"};
  CHECK(seal(config).bytes() == seal(sorted).bytes());
  CHECK(seal(config).value() == sorted);
}

TEST_CASE("rfc3339 knows the calendar and no time zone", "[oci][document]") {
  const auto [seconds, text] = GENERATE(table<std::int64_t, const char*>({
      {0, "1970-01-01T00:00:00Z"},
      {1789199741, "2026-09-12T07:55:41Z"},
      {951782399, "2000-02-28T23:59:59Z"},
      {951782400, "2000-02-29T00:00:00Z"},
      {-1, "1969-12-31T23:59:59Z"},
      {4107542400, "2100-03-01T00:00:00Z"},
      {253402300799, "9999-12-31T23:59:59Z"},
      {-62167219200, "0000-01-01T00:00:00Z"},
  }));
  CHECK(rfc3339(seconds) == text);
}

TEST_CASE("rfc3339 refuses years of five digits", "[oci][document]") {
  CHECK_THROWS_AS(rfc3339(253402300800), Error);
  CHECK_THROWS_AS(rfc3339(-62167219201), Error);
  CHECK_THROWS_AS(rfc3339(INT64_MAX), Error);
  CHECK_THROWS_AS(rfc3339(INT64_MIN), Error);
}

TEST_CASE("media types name their kind", "[oci][document]") {
  CHECK(is_index(media_type::index));
  CHECK(is_index(media_type::docker_manifest_list));
  CHECK_FALSE(is_index(media_type::manifest));
  CHECK(is_manifest(media_type::manifest));
  CHECK(is_manifest(media_type::docker_manifest));
  CHECK_FALSE(is_manifest("text/plain"));
}
