#include "support/catch.hpp"
#include "support/registry_server.hpp"
#include "unit/support/raw_client.hpp"
#include "unit/support/samples.hpp"

using namespace aipack::test;

namespace {

/// POST, one PATCH with everything, empty PUT: what every registry takes.
bool uploads(const RawClient& client, const std::string& repository) {
  const std::string location = client.open_upload(repository);
  const auto patched = client("PATCH", location, hello);
  return patched.status / 100 == 2 &&
         client.close_upload(patched["Location"], hello_256).status == 201;
}

} // namespace

TEST_CASE("Every dialect takes a plain upload and a manifest", "[support][registry]") {
  for (const auto& name : RegistryDialect::names()) {
    INFO(name);
    RegistryServer registry({.dialect = *RegistryDialect::find(name)});
    registry.create_repository("m");
    const RawClient client(registry);
    CHECK(RegistryDialect::find(name)->name == name);
    CHECK(uploads(client, "m"));
    CHECK(client("PUT", "/v2/m/manifests/1", image_of_hello(), {{"Content-Type", manifest_type}})
              .status == 201);
    CHECK(client("GET", "/v2/m/manifests/1", "", {{"Accept", "x/y, " + manifest_type}}).body ==
          image_of_hello());
    CHECK(registry.open_uploads() == 0);
  }
  CHECK_FALSE(RegistryDialect::find("none"));
}

TEST_CASE("distribution 2.8 forgets and does not check", "[support][registry]") {
  RegistryServer registry({.dialect = RegistryDialect::distribution_2_8()});
  const RawClient client(registry);
  CHECK(client("POST", "/v2/m/blobs/uploads/?digest=" + hello_256, hello).status == 202);

  const std::string first = client.open_upload("m");
  CHECK_THAT(first, ContainsSubstring("?_state="));
  auto reply = client.patch(first, 5, hello.substr(5, 3)); // begins in the middle
  CHECK(reply.status == 202);
  CHECK(reply["Range"] == "0-2");
  const std::string second = reply["Location"];
  CHECK(client("GET", first).status == 404); // only the newest location is good
  CHECK(client("GET", second).status == 204);
  CHECK(client.close_upload(second, hello_256, hello.substr(3)).status == 400);

  const std::string cut = client.open_upload("m");
  client.cut("PATCH", cut, hello, 4);
  CHECK(client("GET", cut).status == 404);

  const auto sha512 = client.close_upload(client.open_upload("m"), hello_512, hello);
  CHECK(sha512.status == 201);
  CHECK(sha512["Docker-Content-Digest"] == hello_256);

  CHECK(client("PUT", "/v2/m/manifests/z", image_of_hello(), {{"Content-Type", manifest_type}})
            .status == 201);
  CHECK(client("GET", "/v2/m/manifests/z").status == 404); // no Accept
  CHECK(client("GET", "/v2/m/manifests/z", "", {{"Accept", "*/*"}}).status == 404);
  CHECK(client("GET", "/v2/m/referrers/" + hello_256).status == 404);
  registry.tag("m", "a", registry.manifest("m", "z")->digest);
  CHECK(client("GET", "/v2/m/tags/list?n=1").body == R"({"name":"m","tags":["z","a"]})");
  CHECK(client("POST", "/v2/n/blobs/uploads/?mount=" + hello_256).status == 202);
}

TEST_CASE("distribution 3 resumes from what it has", "[support][registry]") {
  const RegistryServer registry({.dialect = RegistryDialect::distribution_3()});
  const RawClient client(registry);
  const std::string first = client.open_upload("m");
  client.cut("PATCH", first, hello, 4);
  const auto status = client("GET", first);
  CHECK(status.status == 204);
  CHECK(status["Range"] == "0-3");
  CHECK(client.patch(status["Location"], 0, hello).status == 416);
  const auto rest = client.patch(status["Location"], 4, hello.substr(4));
  CHECK(client("GET", first)["Range"] == "0-15"); // a stale location is no obstacle
  CHECK(client.close_upload(rest["Location"], hello_256).status == 201);
}

TEST_CASE("Registries answer a PATCH in their own way", "[support][registry]") {
  const auto [name, status, second_range] = GENERATE(table<std::string, int, std::string>({
      {"full", 202, "0-15"},
      {"crane", 204, "0-15"},
      {"zot", 202, "0-10"},
      {"ecr", 201, "0-4"},
  }));
  RegistryDialect dialect = *RegistryDialect::find(name);
  dialect.min_chunk = 0;
  RegistryServer registry({.dialect = dialect});
  registry.create_repository("m");
  const RawClient client(registry);
  auto reply = client.patch(client.open_upload("m"), 0, hello.substr(0, 5));
  CHECK(reply.status == status);
  CHECK(reply["Range"] == "0-4");
  reply = client.patch(reply["Location"], 5, hello.substr(5));
  CHECK(reply.status == status);
  CHECK(reply["Range"] == second_range);
  CHECK(client.close_upload(reply["Location"], hello_256).status == 201);
}

TEST_CASE("Limits of chunks: a minimum that is noticed late, a maximum, none at all",
          "[support][registry]") {
  RegistryDialect dialect;
  SECTION("minimum") {
    dialect.min_chunk = 8;
    const RegistryServer registry({.dialect = dialect});
    const RawClient client(registry);
    CHECK(client("POST", "/v2/m/blobs/uploads/")["OCI-Chunk-Min-Length"] == "8");
    auto reply = client.patch(client.open_upload("m"), 0, hello.substr(0, 5));
    CHECK(reply.status == 202);
    CHECK(client.patch(reply["Location"], 5, hello.substr(5)).status == 400);
    reply = client.patch(client.open_upload("m"), 0, hello.substr(0, 12));
    reply = client.patch(reply["Location"], 12, hello.substr(12)); // the last may be shorter
    CHECK(client.close_upload(reply["Location"], hello_256).status == 201);
  }
  SECTION("maximum") {
    dialect.max_chunk = 8;
    const RegistryServer registry({.dialect = dialect});
    const RawClient client(registry);
    CHECK(client.patch(client.open_upload("m"), 0, hello).status == 416);
    CHECK(client.close_upload(client.open_upload("m"), hello_256, hello).status == 201);
  }
  SECTION("one body alone") {
    const RegistryServer registry({.dialect = RegistryDialect::google()});
    const RawClient client(registry);
    const auto reply = client.patch(client.open_upload("m"), 0, hello.substr(0, 5));
    CHECK(client.patch(reply["Location"], 5, hello.substr(5)).status == 416);
  }
  SECTION("too large a blob") {
    dialect.max_blob = 8;
    const RegistryServer registry({.dialect = dialect});
    const RawClient client(registry);
    CHECK(client.close_upload(client.open_upload("m"), hello_256, hello).status == 413);
  }
}

TEST_CASE("The rest of what registries refuse", "[support][registry]") {
  const auto start = [](const RegistryDialect& dialect) {
    auto registry = std::make_unique<RegistryServer>(RegistryOptions{.dialect = dialect});
    registry->put_blob("m", hello);
    return registry;
  };
  SECTION("quay: mount without from, unknown configs") {
    const auto registry = start(RegistryDialect::quay());
    const RawClient client(*registry);
    CHECK(client("POST", "/v2/n/blobs/uploads/?mount=" + hello_256).status == 400);
    std::string artifact = image_of_hello();
    artifact.replace(artifact.find(config_type), config_type.size(), "application/x-thing");
    CHECK(client("PUT", "/v2/m/manifests/1", artifact, {{"Content-Type", manifest_type}}).status ==
          400);
  }
  SECTION("artifactory: absent tags, whole bodies") {
    const auto registry = start(RegistryDialect::artifactory());
    const RawClient client(*registry);
    CHECK(client("GET", "/v2/m/manifests/none").status == 403);
    CHECK(client.close_upload(client.open_upload("m"), hello_256, hello).status == 404);
  }
  SECTION("ecr: repositories that nobody made, long pages") {
    const auto registry = start(RegistryDialect::ecr());
    const RawClient client(*registry);
    CHECK(client("POST", "/v2/new/blobs/uploads/").status == 404);
    CHECK(client("GET", "/v2/m/tags/list?n=1001").status == 400);
  }
  SECTION("crane: no status, no cancel, no sha512, children first") {
    const auto registry = start(RegistryDialect::crane());
    const RawClient client(*registry);
    const std::string location = client.open_upload("m");
    CHECK(location.starts_with("/v2/"));
    CHECK(client("GET", location).status == 400);
    CHECK(client("DELETE", location).status == 405);
    CHECK(client.close_upload(location, hello_512, hello).status == 400);
    const std::string index =
        R"({"schemaVersion":2,"manifests":[)" + descriptor(manifest_type, hello_256, 1) + "]}";
    CHECK(client("PUT", "/v2/m/manifests/1", index, {{"Content-Type", index_type}}).status == 404);
  }
  SECTION("immutable tags, no digest header, no lengths") {
    RegistryDialect dialect;
    dialect.immutable_tags = true;
    dialect.digest_header = false;
    dialect.announces_length = false;
    dialect.warnings = {"299 - \"soon gone\""};
    const auto registry = start(dialect);
    const RawClient client(*registry);
    const Headers type{{"Content-Type", manifest_type}};
    CHECK(client("PUT", "/v2/m/manifests/1", image_of_hello(), type).status == 201);
    CHECK(client("PUT", "/v2/m/manifests/1", image_of_hello(), type).status == 201);
    CHECK(client("PUT", "/v2/m/manifests/1", image_of_hello(",\"x\":1"), type).status == 400);
    const auto reply = client("GET", "/v2/m/manifests/1");
    CHECK(reply.body == image_of_hello());
    CHECK(reply["Transfer-Encoding"] == "chunked");
    CHECK(reply["Docker-Content-Digest"].empty());
    CHECK(reply["Warning"] == "299 - \"soon gone\"");
    CHECK(client("GET", "/v2/m/blobs/" + hello_256).body == hello);
  }
  SECTION("a manifest GET leads elsewhere, once") {
    RegistryDialect dialect;
    dialect.manifest_location = "http://127.0.0.1:{foreign_port}{path}";
    const auto registry = start(dialect);
    const RawClient client(*registry);
    registry->put_manifest("m", image_of_hello(), manifest_type, "1");
    const auto reply = client("GET", "/v2/m/manifests/1");
    CHECK(reply.status == 307);
    CHECK(client("GET", reply["Location"]).body == image_of_hello());
    CHECK(registry->log().back().origin == Origin::foreign);
  }
  SECTION("the dialect can change under way") {
    const auto registry = start({});
    const RawClient client(*registry);
    CHECK(client("GET", "/v2/m/referrers/" + hello_256).status == 200);
    registry->set_dialect(RegistryDialect::no_referrers());
    CHECK(client("GET", "/v2/m/referrers/" + hello_256).status == 404);
  }
}
