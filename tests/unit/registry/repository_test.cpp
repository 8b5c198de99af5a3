#include "aipack/registry/settings.hpp"

#include "fixture.hpp"
#include "support/http_server.hpp"

using namespace aipack;
using namespace aipack::registry_test;

namespace {

const std::string oci_manifest{oci::media_type::manifest};

/// A registry with mirrors before it; "{n}" are their hosts.
registry::RegistryOptions with_mirrors(const std::string& home,
                                       const std::vector<std::string>& mirrors) {
  std::string text = "[[registry]]\nprefix = \"" + home + "\"\nlocation = \"" + home + "\"\n";
  for (const std::string& mirror : mirrors) {
    text += "[[registry.mirror]]\nlocation = \"" + mirror + "\"\n";
  }
  auto made = options();
  made.settings = registry::RegistrySettings::parse(text, "registries.toml");
  return made;
}

} // namespace

TEST_CASE("content is read from the first mirror that has it", "[registry][mirror]") {
  RegistryServer home;
  RegistryServer empty;
  RegistryServer full;
  for (RegistryServer* server : {&home, &full}) {
    server->put_blob("team/model", "content");
    server->put_manifest("team/model", manifest_text(), oci_manifest, "1");
  }
  Registry client(with_mirrors(home.host(), {empty.host(), full.host()}));
  const Operation op;
  const auto repository = client.open(reference(home.host()), Access::pull);
  const auto found = repository.find("1", op);
  REQUIRE(found);
  CHECK(repository.fetch_manifest(*found, op).bytes == manifest_text());
  CHECK(io::read_text(*repository.blob(blob_descriptor("content"), op)->open(), 100, "blob") ==
        "content");
  CHECK(repository.has_blob(blob_descriptor("content"), op));
  CHECK(home.log().empty());
  CHECK(empty.log().size() == 4);
  CHECK(full.log().size() == 4);
}

TEST_CASE("mirrors that fail are passed over, and dead ones are not asked again",
          "[registry][mirror]") {
  RegistryServer home;
  home.put_blob("team/model", "content");
  home.put_manifest("team/model", manifest_text(), oci_manifest, "1");
  std::string dead;
  {
    RegistryServer gone;
    dead = gone.host();
  }
  RegistryServer broken;
  broken.set_faults([](const auto&) { return RegistryFault::respond(500); });
  Registry client(with_mirrors(home.host(), {dead, broken.host()}));
  const Operation op;
  const auto repository = client.open(reference(home.host()), Access::pull);
  CHECK(repository.find("1", op));
  const std::size_t asked = broken.log().size();
  CHECK(asked > 0);
  CHECK(repository.fetch_manifest("1", op).bytes == manifest_text());
  CHECK(io::read_text(*repository.blob(blob_descriptor("content"), op)->open(), 100, "blob") ==
        "content");
  CHECK(broken.log().size() == asked);
  // What nobody has is missing in the words of the registry itself.
  const auto error =
      failure_of<RegistryError>([&] { static_cast<void>(repository.fetch_manifest("2", op)); });
  CHECK_THAT(error.answer().url, ContainsSubstring(home.host()));
}

TEST_CASE("a blob that a mirror breaks off comes from the next, where it stopped",
          "[registry][mirror]") {
  const std::string bytes(500'000, 'x');
  RegistryServer home;
  RegistryServer mirror;
  home.put_blob("team/model", bytes);
  mirror.put_blob("team/model", bytes);
  mirror.set_faults([](const test::RegistryRequest& request) {
    return request.header("Range") ? RegistryFault::respond(404)
                                   : RegistryFault::truncate_at(200'000);
  });
  Registry client(with_mirrors(home.host(), {mirror.host()}));
  const Operation op;
  const auto blob =
      client.open(reference(home.host()), Access::pull).blob(blob_descriptor(bytes), op);
  CHECK(io::read_text(*blob->open(), 1'000'000, "blob") == bytes);
  CHECK(home.log().at(0).header("Range") == "bytes=200000-");
}

TEST_CASE("credentials of a registry are not for its mirrors, and writing goes to it alone",
          "[registry][mirror]") {
  RegistryServer home({.auth = {.kind = test::RegistryAuth::Kind::basic}});
  RegistryServer mirror({.auth = {.kind = test::RegistryAuth::Kind::basic}});
  for (RegistryServer* server : {&home, &mirror}) {
    server->put_blob("team/model", "{}");
    server->put_manifest("team/model", manifest_text(), oci_manifest, "1");
  }
  auto chosen = with_mirrors(home.host(), {mirror.host()});
  chosen.credentials = store(home.host());
  Registry client(chosen);
  CHECK(client.open(reference(home.host()), Access::pull).find("1", {}));
  for (const auto& request : mirror.log()) {
    CHECK_FALSE(request.header("Authorization"));
  }
  mirror.clear_log();
  const auto repository = client.open(reference(home.host()), Access::push);
  CHECK(repository.find("1", {}));
  repository.put_manifest(document(manifest_text()), "2", {});
  CHECK(mirror.log().empty());
}

TEST_CASE("tags are those of the registry, referrers those of whoever knows any",
          "[registry][mirror]") {
  RegistryServer home;
  RegistryServer mirror;
  const Document subject = document(manifest_text());
  const std::string signature =
      manifest_text(R"(,"subject":{"mediaType":"x","digest":")" +
                    subject.descriptor.digest.to_string() + R"(","size":1})");
  home.put_manifest("team/model", subject.bytes, oci_manifest, "1");
  home.put_manifest("team/model", signature, oci_manifest);
  mirror.put_manifest("team/model", subject.bytes, oci_manifest, "old");
  Registry client(with_mirrors(home.host(), {mirror.host()}));
  const auto repository = client.open(reference(home.host()), Access::pull);
  CHECK(repository.tags({}) == std::vector<std::string>{"1"});
  CHECK(repository.referrers(subject.descriptor.digest, "", {}).size() == 1);
}

TEST_CASE("a second look at an unchanged image costs one request, three with a token",
          "[registry]") {
  const auto kind = GENERATE(test::RegistryAuth::Kind::none, test::RegistryAuth::Kind::bearer);
  RegistryServer server({.auth = {.kind = kind}});
  server.put_manifest("team/model", manifest_text(), oci_manifest, "1");
  Registry client(options(store(server.host())));
  const auto repository = client.open(reference(server.host()), Access::push);
  CHECK(repository.find("1", {})->digest == oci::Digest::of(manifest_text()));
  CHECK(client.requests() == (kind == test::RegistryAuth::Kind::none ? 1 : 3));
}
