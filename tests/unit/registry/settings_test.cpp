#include "aipack/core/error.hpp"
#include "aipack/registry/settings.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace aipack;
using namespace aipack::registry;

namespace {

RegistrySettings parse(std::string_view text, SettingsFormat format = SettingsFormat::containers) {
  return RegistrySettings::parse(text, "/etc/registries.conf", format);
}

Endpoint endpoint(const RegistrySettings& settings, std::string_view reference) {
  return settings.endpoint(oci::Reference::parse(reference));
}

std::string url_of(const Endpoint& endpoint) {
  return endpoint.scheme + "://" + endpoint.host + "/" + endpoint.repository;
}

std::vector<std::string> pulls(const RegistrySettings& settings, std::string_view reference,
                               bool by_digest = false) {
  std::vector<std::string> urls;
  for (const auto& endpoint :
       settings.pull_endpoints(oci::Reference::parse(reference), by_digest)) {
    urls.push_back((endpoint.is_mirror ? "mirror " : "") + url_of(endpoint));
  }
  return urls;
}

using Urls = std::vector<std::string>;

template <class Fn>
Error error_of(Fn fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::internal, "no error"};
}

const std::string digest = "@sha256:" + std::string(64, 'a');

} // namespace

TEST_CASE("without settings a registry is where its name says", "[registry][settings]") {
  const RegistrySettings settings;
  const auto plain = endpoint(settings, "R.example:5000/team/model:1");
  CHECK(plain == Endpoint{.scheme = "https",
                          .host = "r.example:5000",
                          .repository = "team/model",
                          .credential_host = "r.example:5000"});
  CHECK(pulls(settings, "r.example/a/b:1") == Urls{"https://r.example/a/b"});
}

TEST_CASE("Docker Hub has another API host, and a namespace of its own", "[registry][settings]") {
  const auto [reference, repository] =
      GENERATE(table<std::string, std::string>({{"docker.io/busybox", "library/busybox"},
                                                {"index.docker.io/busybox:1", "library/busybox"},
                                                {"docker.io/team/model", "team/model"}}));
  const auto hub = endpoint({}, reference);
  CHECK(url_of(hub) == "https://registry-1.docker.io/" + repository);
  CHECK(hub.credential_host == "docker.io");
}

TEST_CASE("a reference without a registry is refused", "[registry][settings]") {
  const auto error = error_of([] { static_cast<void>(endpoint({}, "team/model:1")); });
  CHECK(error.code() == ErrorCode::invalid_input);
  CHECK_THAT(error.hint(), ContainsSubstring("registry.example/team/model"));
}

TEST_CASE("loopback registries speak plain HTTP without asking, others do not",
          "[registry][settings]") {
  const auto [host, scheme] =
      GENERATE(table<std::string, std::string>({{"127.0.0.1:5000", "http"},
                                                {"127.1.2.3:5000", "http"},
                                                {"127.0.0.1", "http"},
                                                {"localhost:5000", "http"},
                                                {"LOCALHOST:5000", "http"},
                                                {"localhost", "http"},
                                                {"registry.localhost:5000", "http"},
                                                {"[::1]:5000", "http"},
                                                {"[0:0:0:0:0:0:0:1]:5000", "http"},
                                                {"[::ffff:127.0.0.1]:5000", "http"},
                                                {"128.0.0.1:5000", "https"},
                                                {"10.0.0.1:5000", "https"},
                                                {"192.168.0.1:5000", "https"},
                                                {"[::2]:5000", "https"},
                                                {"[fe80::1]:5000", "https"},
                                                {"[::ffff:10.0.0.1]:5000", "https"},
                                                {"127.0.0.1.example:5000", "https"},
                                                {"127.1:5000", "https"},
                                                {"0127.0.0.1:5000", "https"},
                                                {"localhost.example:5000", "https"},
                                                {"notlocalhost:5000", "https"},
                                                {"r.example", "https"}}));
  INFO(host);
  CHECK(endpoint({}, host + "/a/b:1").scheme == scheme);
  CHECK(endpoint(RegistrySettings().with_plain_http(), host + "/a/b:1").scheme == "http");
}

TEST_CASE("insecure is TLS without verification, never plain HTTP", "[registry][settings]") {
  const auto settings = parse("[[registry]]\nlocation = 'r.example'\ninsecure = true\n"
                              "[[registry]]\nlocation = 'localhost:5000'\ninsecure = true\n");
  const auto remote = endpoint(settings, "r.example/a");
  CHECK(remote.scheme == "https");
  CHECK(remote.insecure_tls);
  // What podman needs for plain HTTP on loopback does not turn it off here.
  const auto loopback = endpoint(settings, "localhost:5000/a");
  CHECK(loopback.scheme == "http");
  CHECK_FALSE(loopback.insecure_tls);
  CHECK(endpoint(settings.with_plain_http(), "r.example/a").scheme == "http");
}

TEST_CASE("aipack's file decides between HTTP and HTTPS", "[registry][settings]") {
  const auto settings = parse("[[registry]]\nprefix = 'r.example'\nplain-http = true\n"
                              "[[registry]]\nprefix = 'localhost:5000'\nplain-http = false\n"
                              "[[registry]]\nprefix = '127.0.0.1:5001'\nca-file = 'ca.pem'\n"
                              "[[registry]]\nprefix = '127.0.0.1:5002'\n"
                              "client-cert = 'c.pem'\nclient-key = 'k.pem'\n",
                              SettingsFormat::aipack);
  CHECK(endpoint(settings, "r.example/a").scheme == "http");
  CHECK(endpoint(settings, "localhost:5000/a").scheme == "https");
  CHECK(endpoint(settings, "127.0.0.1:5001/a").scheme == "https");
  CHECK(endpoint(settings, "127.0.0.1:5002/a").scheme == "https");
  CHECK(endpoint(settings, "127.0.0.1:5003/a").scheme == "http");
}

TEST_CASE("containers' files cannot ask for plain HTTP", "[registry][settings]") {
  const auto settings = parse("[[registry]]\nprefix = 'r.example'\nplain-http = true\n"
                              "proxy = 'http://p.example'\nca-file = 'x'\n");
  CHECK(endpoint(settings, "r.example/a") == endpoint({}, "r.example/a"));
}

TEST_CASE("the longest prefix decides", "[registry][settings]") {
  const auto settings = parse(R"(
    [[registry]]
    prefix = "r.example"
    location = "host.example"
    [[registry]]
    prefix = "r.example/team"
    location = "team.example/t"
    [[registry]]
    prefix = "r.example/team/model"
    location = "model.example/x/y"
    [[registry]]
    prefix = "r.example/team/model:2"
    location = "tag.example/z:2"
    [[registry]]
    prefix = "r.example:5000/"
    location = "port.example/"
    [[registry]]
    prefix = "*.w.example"
    location = "wild.example"
    [[registry]]
    prefix = "*.deep.w.example"
    location = "deeper.example"
    [[registry]]
    prefix = "x.w.example"
    location = "exact.example"
  )");
  const auto [reference, url] = GENERATE(table<std::string, std::string>({
      {"r.example/a", "https://host.example/a"},
      {"R.EXAMPLE/a", "https://host.example/a"},
      {"r.example/teams/a", "https://host.example/teams/a"},
      {"r.example/team", "https://team.example/t"},
      {"r.example/team/a/b", "https://team.example/t/a/b"},
      {"r.example/team/model", "https://model.example/x/y"},
      {"r.example/team/model:1", "https://model.example/x/y"},
      {"r.example/team/model:2", "https://tag.example/z"},
      {"r.example/team/model:22", "https://model.example/x/y"},
      {"r.example/team/model/part:2", "https://model.example/x/y/part"},
      {"r.example:5000/a", "https://port.example/a"},
      {"r.example:5001/a", "https://r.example:5001/a"},
      {"sub.r.example/a", "https://sub.r.example/a"},
      {"a.w.example/b", "https://wild.example/b"},
      {"a.b.w.example/b", "https://wild.example/b"},
      {"w.example/b", "https://w.example/b"},
      {"aw.example/b", "https://aw.example/b"},
      {"a.w.example.net/b", "https://a.w.example.net/b"},
      {"a.w.example:5000/b", "https://a.w.example:5000/b"},
      {"a.deep.w.example/b", "https://deeper.example/b"},
      {"x.w.example/b", "https://exact.example/b"},
  }));
  INFO(reference);
  CHECK(pulls(settings, reference) == Urls{url});
}

TEST_CASE("a prefix can be one digest", "[registry][settings]") {
  const auto settings =
      parse("[[registry]]\nprefix = 'r.example/a" + digest + "'\nblocked = true\n");
  CHECK_THROWS_AS(endpoint(settings, "r.example/a" + digest), Error);
  CHECK_THROWS_AS(endpoint(settings, "r.example/a:1" + digest), Error);
  CHECK_NOTHROW(endpoint(settings, "r.example/a:1"));
}

TEST_CASE("redirection is for reading only", "[registry][settings]") {
  const auto settings =
      parse("[[registry]]\nprefix = 'r.example'\nlocation = 'cache.example/r'\ninsecure = true\n"
            "[[registry.mirror]]\nlocation = 'm.example'\n");
  CHECK(url_of(endpoint(settings, "r.example/a")) == "https://r.example/a");
  // What is said about the other host must not open the connection to this one.
  CHECK_FALSE(endpoint(settings, "r.example/a").insecure_tls);
  const auto sources = settings.pull_endpoints(oci::Reference::parse("r.example/a"), false);
  REQUIRE(sources.size() == 2);
  CHECK_FALSE(sources[0].insecure_tls);
  CHECK(sources[1].insecure_tls);
}

TEST_CASE("mirrors come first, in their order, and only for the pulls they are for",
          "[registry][settings]") {
  const auto settings = parse(R"(
    [[registry]]
    prefix = "r.example/team"
    [[registry.mirror]]
    location = "all.example/m"
    [[registry.mirror]]
    location = "digests.example"
    pull-from-mirror = "digest-only"
    [[registry.mirror]]
    location = "tags.example"
    pull-from-mirror = "tag-only"
    [[registry.mirror]]
    location = "localhost:5000/team"
    pull-from-mirror = ""
  )");
  CHECK(pulls(settings, "r.example/team/a:1") ==
        Urls{"mirror https://all.example/m/a", "mirror https://tags.example/a",
             "mirror http://localhost:5000/team/a", "https://r.example/team/a"});
  CHECK(pulls(settings, "r.example/team/a:1", true) ==
        Urls{"mirror https://all.example/m/a", "mirror https://digests.example/a",
             "mirror http://localhost:5000/team/a", "https://r.example/team/a"});
  CHECK(pulls(settings, "r.example/other:1") == Urls{"https://r.example/other"});
}

TEST_CASE("mirrors by digest only are left out for tags", "[registry][settings]") {
  const auto settings = parse("[[registry]]\nlocation = 'r.example'\nmirror-by-digest-only = true\n"
                              "[[registry.mirror]]\nlocation = 'm.example'\n");
  CHECK(pulls(settings, "r.example/a:1") == Urls{"https://r.example/a"});
  CHECK(pulls(settings, "r.example/a:1", true) ==
        Urls{"mirror https://m.example/a", "https://r.example/a"});
}

TEST_CASE("mirrors of a wildcard and of Docker Hub", "[registry][settings]") {
  const auto settings = parse("[[registry]]\nprefix = '*.w.example'\n"
                              "[[registry.mirror]]\nlocation = 'm.example/w'\n"
                              "[[registry]]\nprefix = 'docker.io'\n"
                              "[[registry.mirror]]\nlocation = 'hub.example'\n"
                              "[[registry]]\nprefix = 'r.example/hub'\nlocation = 'docker.io'\n");
  CHECK(pulls(settings, "a.w.example/b") ==
        Urls{"mirror https://m.example/w/b", "https://a.w.example/b"});
  CHECK(pulls(settings, "docker.io/busybox") ==
        Urls{"mirror https://hub.example/library/busybox",
             "https://registry-1.docker.io/library/busybox"});
  CHECK(pulls(settings, "r.example/hub/busybox") ==
        Urls{"https://registry-1.docker.io/library/busybox"});
}

TEST_CASE("credentials are looked up for the host that is talked to", "[registry][settings]") {
  const auto settings = parse(R"(
    [[registry]]
    prefix = "docker.io"
    location = "cache.example/hub"
    [[registry.mirror]]
    location = "m.example:5000/hub"
    [[registry.mirror]]
    location = "docker.io/mirrors"
  )");
  for (const auto& source :
       settings.pull_endpoints(oci::Reference::parse("docker.io/team/a"), true)) {
    const bool is_hub = source.host == "registry-1.docker.io";
    CHECK(source.credential_host == (is_hub ? "docker.io" : source.host));
  }
}

TEST_CASE("a mirror's settings are its own, over those of its host", "[registry][settings]") {
  const auto settings = parse(R"(
    [[registry]]
    prefix = "r.example"
    insecure = true
    ca-file = "r.pem"
    [[registry.mirror]]
    location = "m.example"
    [[registry.mirror]]
    location = "n.example/x"
    plain-http = true
    [[registry.mirror]]
    location = "o.example"
    insecure = true
    [[registry]]
    prefix = "m.example"
    ca-file = "/m.pem"
    concurrency = 2
  )",
                              SettingsFormat::aipack);
  const auto sources = settings.pull_endpoints(oci::Reference::parse("r.example/a"), false);
  REQUIRE(sources.size() == 4);
  CHECK(sources[0].ca_files == Urls{"/m.pem"});
  CHECK(sources[0].concurrency == 2);
  CHECK_FALSE(sources[0].insecure_tls);
  CHECK(url_of(sources[1]) == "http://n.example/x/a");
  CHECK(sources[2].insecure_tls);
  CHECK(sources[2].ca_files.empty());
  CHECK(sources[3].ca_files == Urls{"/etc/r.pem"});
  CHECK(sources[3].insecure_tls);
}

TEST_CASE("--plain-http is for the registry that was named, not for its mirrors",
          "[registry][settings]") {
  const auto settings = parse("[[registry]]\nprefix = 'r.example'\nlocation = 'cache.example'\n"
                              "[[registry.mirror]]\nlocation = 'm.example'\n"
                              "[[registry]]\nprefix = 's.example'\nlocation = 's.example/sub'\n")
                            .with_plain_http();
  CHECK(pulls(settings, "r.example/a") ==
        Urls{"mirror https://m.example/a", "https://cache.example/a"});
  CHECK(pulls(settings, "s.example/a") == Urls{"http://s.example/sub/a"});
  CHECK(url_of(endpoint(settings, "r.example/a")) == "http://r.example/a");
}

TEST_CASE("what is blocked is denied, by whatever way it would be reached",
          "[registry][settings]") {
  const auto settings = parse(R"(
    [[registry]]
    prefix = "b.example"
    blocked = true
    [[registry]]
    prefix = "b.example/open"
    [[registry]]
    prefix = "*.evil.example"
    blocked = true
    [[registry]]
    prefix = "r.example"
    location = "b.example/r"
    [[registry]]
    prefix = "s.example"
    [[registry.mirror]]
    location = "b.example"
  )");
  const std::string reference = GENERATE("b.example/a", "x.y.evil.example/a");
  const auto error = error_of([&] { static_cast<void>(endpoint(settings, reference)); });
  CHECK(error.code() == ErrorCode::denied);
  CHECK_THAT(error.message(), ContainsSubstring("'" + reference + "'"));
  CHECK_THAT(error.message(), ContainsSubstring("'/etc/registries.conf'"));
  CHECK_THROWS_AS(pulls(settings, reference), Error);
  CHECK_NOTHROW(endpoint(settings, "b.example/open/a"));
  CHECK_NOTHROW(endpoint(settings, "r.example/a"));
  CHECK_THROWS_AS(pulls(settings, "r.example/a"), Error);
  CHECK(pulls(settings, "s.example/a") == Urls{"https://s.example/a"});
}

TEST_CASE("every key of aipack's file arrives", "[registry][settings]") {
  const auto settings = parse(R"(
    unqualified-search-registries = ["docker.io"]
    [[registry]]
    prefix = "r.example"
    ca-file = "certs/ca.pem"
    client-cert = "/abs/client.pem"
    client-key = "../key.pem"
    proxy = "http://user:hunter2@proxy.example:3128"
    concurrency = 3
    upload = "chunked"
    chunk-size = 8_388_608
  )",
                              SettingsFormat::aipack);
  CHECK(endpoint(settings, "r.example/a") ==
        Endpoint{.scheme = "https",
                 .host = "r.example",
                 .repository = "a",
                 .credential_host = "r.example",
                 .ca_files = {"/etc/certs/ca.pem"},
                 .client_certificate = "/abs/client.pem",
                 .client_key = "/key.pem",
                 .proxy = "http://user:hunter2@proxy.example:3128",
                 .upload = UploadMode::chunked,
                 .chunk_bytes = 8'388'608,
                 .concurrency = 3});
}

TEST_CASE("a location that makes no repository is refused when it is used",
          "[registry][settings]") {
  const auto settings = parse("[[registry]]\nprefix = 'r.example'\nlocation = 's.example/" +
                              std::string(200, 'a') + "'\n");
  CHECK_NOTHROW(pulls(settings, "r.example/a"));
  CHECK(error_of([&] { pulls(settings, "r.example/" + std::string(100, 'b')); }).code() ==
        ErrorCode::invalid_input);
}
