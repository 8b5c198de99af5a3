#include "fixture.hpp"
#include "manifests.hpp"
#include "support/http_server.hpp"

using namespace aipack;
using namespace aipack::registry_test;
using registry::manifest_media_type;

namespace {

const std::string oci_manifest{oci::media_type::manifest};
const std::string oci_index{oci::media_type::index};

/// A server with one answer for every manifest.
test::HttpServer one_answer(std::string body, test::Headers headers) {
  return test::HttpServer(
      [body = std::move(body), headers = std::move(headers)](const test::ServedRequest&) {
        return test::Reply{.headers = headers, .body = body};
      });
}

} // namespace

TEST_CASE("a manifest is found and fetched by tag and by digest, exact bytes",
          "[registry][manifest]") {
  RegistryServer server(
      {.dialect = GENERATE(RegistryDialect::full(), RegistryDialect::distribution_2_8(),
                           RegistryDialect::crane(), RegistryDialect::quay())});
  const std::string bytes = manifest_text(R"(,   "annotations": {"a":"1"}  )");
  server.put_blob("team/model", "{}");
  const std::string digest = server.put_manifest("team/model", bytes, oci_manifest, "1");
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::pull);
  for (const std::string& name : {std::string("1"), digest}) {
    const auto found = repository.find(name, {});
    REQUIRE(found);
    CHECK(*found == document(bytes).descriptor);
    const Document fetched = repository.fetch_manifest(name, {});
    CHECK(fetched.bytes == bytes);
    CHECK(fetched.descriptor == *found);
  }
  auto wanted = document(bytes).descriptor;
  wanted.annotations = {{"kept", "as given"}};
  const Document fetched = repository.fetch_manifest(wanted, {});
  CHECK(fetched.bytes == bytes);
  CHECK(fetched.descriptor == wanted);
}

TEST_CASE("what is not there is not there", "[registry][manifest]") {
  RegistryServer server;
  server.put_manifest("team/model", manifest_text(), oci_manifest, "1.0");
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::pull);
  const std::string absent = oci::Digest::of("absent").to_string();
  CHECK_FALSE(repository.find("2", {}));
  CHECK_FALSE(repository.find(absent, {}));
  CHECK_FALSE(client.open(reference(server.host(), "no/such"), Access::pull).find("1", {}));
  CHECK(failure_of([&] { static_cast<void>(repository.fetch_manifest("2", {})); }).code() ==
        ErrorCode::not_found);

  const auto near = failure_of([&] { static_cast<void>(repository.resolve("1.00", {})); });
  CHECK(near.code() == ErrorCode::not_found);
  CHECK(near.message() ==
        "cannot find '" + server.host() + "/team/model:1.00': the registry has no such tag");
  CHECK(near.hint() == "did you mean '1.0'?");
  const auto far = failure_of([&] { static_cast<void>(repository.resolve("nightly", {})); });
  CHECK(far.hint() == "its only tag is '1.0'");
  CHECK_THAT(failure_of([&] { static_cast<void>(repository.resolve(absent, {})); }).message(),
             ContainsSubstring("no such manifest"));
}

TEST_CASE("a tag that could change a request is refused before it is asked for",
          "[registry][manifest]") {
  Registry client(options());
  const auto repository = client.open(reference("127.0.0.1:1"), Access::pull);
  const auto name = GENERATE(values<std::string>(
      {"", "../x", "a/b", "a?b", "a#b", "a b", "-a", ".a", "sha256:1", "sha512:00", "a:b", "a@b"}));
  CAPTURE(name);
  CHECK(failure_of([&] { static_cast<void>(repository.find(name, {})); }).code() ==
        ErrorCode::invalid_input);
  CHECK(client.requests() == 0);
}

TEST_CASE("a HEAD that does not say enough is followed by a GET", "[registry][manifest]") {
  RegistryDialect dialect;
  unsigned requests = 2;
  SECTION("without a digest") {
    dialect.digest_header = false;
  }
  SECTION("all is said") {
    requests = 1;
  }
  RegistryServer server({.dialect = dialect});
  const std::string digest = server.put_manifest("team/model", manifest_text(), oci_manifest, "1");
  Registry client(options());
  const auto found = client.open(reference(server.host()), Access::pull).find("1", {});
  REQUIRE(found);
  CHECK(found->digest.to_string() == digest);
  CHECK(client.requests() == requests);
}

TEST_CASE("a registry without HEAD is asked with GET", "[registry][manifest]") {
  const std::string bytes = manifest_text();
  test::HttpServer server([&](const test::ServedRequest& request) -> test::Reply {
    return request.method == "HEAD"
               ? test::Reply{.status = 405}
               : test::Reply{.headers = {{"Content-Type", oci_manifest}}, .body = bytes};
  });
  Registry client(options());
  const auto found = client.open(reference(server.host()), Access::pull).find("1", {});
  REQUIRE(found);
  CHECK(found->digest == oci::Digest::of(bytes));
}

TEST_CASE("403 for an absent tag is understood where tags can be listed", "[registry][manifest]") {
  RegistryServer server({.dialect = RegistryDialect::artifactory()});
  server.put_manifest("team/model", manifest_text(), oci_manifest, "1");
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::push);
  CHECK_FALSE(repository.find("2", {}));
  CHECK(repository.find("1", {}));
  // Where it cannot be told, it stays a refusal.
  server.set_faults([](const test::RegistryRequest& request) {
    return request.path.ends_with("/tags/list") ? RegistryFault::respond(403, "DENIED")
                                                : RegistryFault{};
  });
  CHECK(failure_of([&] { static_cast<void>(repository.find("2", {})); }).code() ==
        ErrorCode::denied);
}

TEST_CASE("a registry cannot pass off other bytes", "[registry][manifest]") {
  const std::string bytes = manifest_text();
  const std::string other = manifest_text(R"(,"annotations":{"a":"1"})");
  const std::string digest = oci::Digest::of(bytes).to_string();
  const std::string other_digest = oci::Digest::of(other).to_string();
  struct Case {
    std::string body;
    std::string named; ///< Docker-Content-Digest
    bool by_digest;
    bool good;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {bytes, digest, true, true},
      {bytes, digest, false, true},
      {bytes, "", true, true},
      {bytes, "", false, true},
      {bytes, "sha512:00", false, true},
      {bytes, "nonsense", false, true},
      {bytes, other_digest, true, true}, // its own digest decides
      {bytes, other_digest, false, false},
      {other, digest, true, false},
      {other, other_digest, true, false},
      {"", digest, true, false},
  }));
  auto server =
      one_answer(c.body, {{"Content-Type", oci_manifest}, {"Docker-Content-Digest", c.named}});
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::pull);
  const auto fetch = [&] { return repository.fetch_manifest(c.by_digest ? digest : "1", {}); };
  if (c.good) {
    CHECK(fetch().bytes == bytes);
  } else {
    CHECK(failure_of([&] { static_cast<void>(fetch()); }).code() == ErrorCode::corrupt);
  }
}

TEST_CASE("a manifest is what its descriptor says", "[registry][manifest]") {
  const std::string bytes = manifest_text();
  auto server = one_answer(bytes, {{"Content-Type", oci_manifest}});
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::pull);
  auto wanted = document(bytes).descriptor;
  SECTION("shorter") {
    wanted.size_bytes += 1;
  }
  SECTION("longer") {
    wanted.size_bytes -= 1;
  }
  SECTION("of no size") {
    wanted.size_bytes = 0;
  }
  SECTION("too large for a manifest") {
    wanted.size_bytes = oci::max_manifest_bytes + 1;
  }
  SECTION("of another type") {
    wanted.media_type = oci_index;
  }
  SECTION("other bytes") {
    wanted.digest = oci::Digest::of("other");
  }
  CHECK(failure_of([&] { static_cast<void>(repository.fetch_manifest(wanted, {})); }).code() ==
        ErrorCode::corrupt);
}

TEST_CASE("a manifest without end is not read to the end", "[registry][manifest]") {
  auto server =
      one_answer(std::string(oci::max_manifest_bytes + 1, ' '), {{"Content-Type", oci_manifest}});
  Registry client(options());
  CHECK(failure_of([&] {
          static_cast<void>(
              client.open(reference(server.host()), Access::pull).fetch_manifest("1", {}));
        }).code() == ErrorCode::corrupt);
}

TEST_CASE("what a manifest is, is decided by itself and by the registry", "[registry][manifest]") {
  struct Case {
    std::string bytes;
    std::string content_type;
    std::string expected; ///< or the code of the error
  };
  const std::string index_text = R"({"schemaVersion":2,"manifests":[]})";
  const std::string bare = R"({"schemaVersion":2,"config":{},"layers":[]})";
  const auto c = GENERATE_COPY(values<Case>({
      {manifest_text(), oci_manifest, oci_manifest},
      {manifest_text(), "Application/Vnd.OCI.Image.Manifest.V1+JSON; charset=utf-8", oci_manifest},
      {manifest_text(), "", oci_manifest},
      {manifest_text(), "application/json", oci_manifest},
      {manifest_text(), "application/octet-stream", oci_manifest},
      {manifest_text(), "text/plain; charset=utf-8", oci_manifest},
      {bare, oci_manifest, oci_manifest},
      {bare, "application/vnd.docker.distribution.manifest.v2+json",
       "application/vnd.docker.distribution.manifest.v2+json"},
      {bare, "", oci_manifest},
      {index_text, oci_index, oci_index},
      {index_text, "", oci_index},
      {manifest_text(), oci_index, "corrupt"},
      {index_text, oci_manifest, "corrupt"},
      {bare, oci_index, "corrupt"},
      {R"({"manifests":[],"config":{}})", "", "corrupt"},
      {R"({"manifests":[],"layers":[]})", oci_index, "corrupt"},
      {R"({"schemaVersion":1,"fsLayers":[]})", "", "unsupported"},
      {"{}", "application/vnd.docker.distribution.manifest.v1+prettyjws", "unsupported"},
      {"{}", "application/vnd.docker.distribution.manifest.v1+json", "unsupported"},
      {"{}", "", "unsupported"},
      {R"({"mediaType":"application/x"})", "application/x", "unsupported"},
      {"[]", oci_manifest, "corrupt"},
      {"", oci_manifest, "corrupt"},
      {"{", oci_manifest, "corrupt"},
      {std::string(1000, '['), oci_manifest, "corrupt"},
      {R"({"config":{},"config":{}})", oci_manifest, "corrupt"},
  }));
  CAPTURE(c.bytes, c.content_type);
  std::string actual;
  try {
    actual = manifest_media_type(c.bytes, c.content_type, "m");
  } catch (const Error& error) {
    actual = to_string(error.code());
  }
  CHECK(actual == c.expected);
}

TEST_CASE("manifests are put under their digest or a tag, once and exactly",
          "[registry][manifest]") {
  RegistryServer server(
      {.dialect = GENERATE(RegistryDialect::full(), RegistryDialect::distribution_2_8())});
  server.put_blob("team/model", "{}");
  const Document made = document(manifest_text("  "));
  const std::string digest = made.descriptor.digest.to_string();
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::push);
  repository.put_manifest(made, "", {});
  CHECK(server.manifest("team/model", digest)->bytes == made.bytes);
  CHECK(server.tags("team/model").empty());
  repository.put_manifest(made, "1", {});
  CHECK(server.manifest("team/model", "1")->digest == digest);
  CHECK(client.requests() == 2);
}

TEST_CASE("a manifest whose answer was lost is put again", "[registry][manifest]") {
  RegistryServer server;
  server.put_blob("team/model", "{}");
  server.set_faults(test::fault_at(1, RegistryFault::lost_answer()));
  Registry client(options());
  client.open(reference(server.host()), Access::push)
      .put_manifest(document(manifest_text()), "1", {});
  CHECK(server.tags("team/model") == std::vector<std::string>{"1"});
}

TEST_CASE("a blob that the registry forgets for a moment is waited for", "[registry][manifest]") {
  RegistryServer server;
  server.put_blob("team/model", "{}");
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::push);
  const auto forgets = RegistryFault::respond(400, "MANIFEST_BLOB_UNKNOWN");
  const auto is_put = [](const test::RegistryRequest& request) { return request.method == "PUT"; };
  SECTION("once") {
    server.set_faults(test::fault_at(1, forgets, is_put));
    repository.put_manifest(document(manifest_text()), "1", {});
    CHECK(server.count("PUT", "/manifests/1") == 2);
    CHECK(server.tags("team/model") == std::vector<std::string>{"1"});
  }
  SECTION("for good") {
    server.set_faults([&](const test::RegistryRequest& request) {
      return is_put(request) ? forgets : RegistryFault{};
    });
    const auto error = failure_of<RegistryError>(
        [&] { repository.put_manifest(document(manifest_text()), "1", {}); });
    CHECK(error.has("MANIFEST_BLOB_UNKNOWN"));
    CHECK(server.count("PUT", "/manifests/1") == 4);
  }
}

TEST_CASE("a manifest that cannot be put says why", "[registry][manifest]") {
  RegistryServer server;
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::push);
  SECTION("its config is missing") {
    const auto error = failure_of<RegistryError>(
        [&] { repository.put_manifest(document(manifest_text()), "1", {}); });
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(error.has("MANIFEST_BLOB_UNKNOWN"));
    CHECK_THAT(error.message(),
               ContainsSubstring("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060"));
  }
  SECTION("its bytes are others") {
    Document wrong = document(manifest_text());
    wrong.bytes += " ";
    CHECK(failure_of([&] { repository.put_manifest(wrong, "1", {}); }).code() ==
          ErrorCode::corrupt);
    CHECK(client.requests() == 0);
  }
  SECTION("the registry stored something else") {
    server.put_blob("team/model", "{}");
    server.set_faults(
        [](const auto&) { return RegistryFault::of(RegistryFault::Kind::wrong_digest); });
    CHECK(failure_of([&] { repository.put_manifest(document(manifest_text()), "1", {}); }).code() ==
          ErrorCode::corrupt);
  }
}

TEST_CASE("a tag or manifest is removed where the registry lets us", "[registry][manifest]") {
  RegistryServer server;
  const std::string digest = server.put_manifest("team/model", manifest_text(), oci_manifest, "1");
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::push_and_delete);
  repository.remove("1", {});
  CHECK_FALSE(repository.find("1", {}));
  CHECK(repository.find(digest, {}));
  repository.remove(digest, {});
  CHECK_FALSE(repository.find(digest, {}));
  CHECK(failure_of([&] { repository.remove(digest, {}); }).code() == ErrorCode::not_found);

  auto dialect = RegistryDialect::full();
  dialect.deletes = false;
  server.set_dialect(dialect);
  CHECK(failure_of([&] { repository.remove("1", {}); }).code() == ErrorCode::unsupported);
}
