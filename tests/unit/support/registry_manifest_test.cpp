#include "support/catch.hpp"
#include "support/registry_server.hpp"
#include "unit/support/raw_client.hpp"
#include "unit/support/samples.hpp"

using namespace aipack::test;

namespace {

/// A registry whose repository "m" has `hello` as a blob.
struct Fixture {
  explicit Fixture(RegistryDialect dialect = {}) : registry({.dialect = std::move(dialect)}) {
    registry.put_blob("m", hello);
  }
  RawReply put(const std::string& reference, const std::string& bytes,
               const std::string& type = manifest_type) const {
    return client("PUT", "/v2/m/manifests/" + reference, bytes, {{"Content-Type", type}});
  }
  RegistryServer registry;
  RawClient client{registry};
};

std::string index_of(const std::string& digest, std::size_t size) {
  return R"({"schemaVersion":2,"mediaType":")" + index_type + R"(","manifests":[)" +
         descriptor(manifest_type, digest, size) + "]}";
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

} // namespace

TEST_CASE("A manifest is put and got by tag and by digest, byte for byte", "[support][registry]") {
  const Fixture f;
  const std::string image = image_of_hello();
  const auto put = f.put("1", image);
  CHECK(put.status == 201);
  const std::string digest = put["Docker-Content-Digest"];
  CHECK(put["OCI-Subject"].empty());
  for (const std::string& reference : {std::string("1"), digest}) {
    const auto get = f.client("GET", "/v2/m/manifests/" + reference);
    CHECK(get.status == 200);
    CHECK(get.body == image);
    CHECK(get["Content-Type"] == manifest_type);
    CHECK(get["Docker-Content-Digest"] == digest);
    const auto head = f.client("HEAD", "/v2/m/manifests/" + reference);
    CHECK(head.status == 200);
    CHECK(head["Content-Length"] == std::to_string(image.size()));
  }
  CHECK(f.put(digest, image).status == 201);
  CHECK(f.put("sha256:" + std::string(64, '1'), image).status == 400);
  CHECK(f.registry.manifest("m", "1")->bytes == image);
  CHECK(f.registry.tags("m") == std::vector<std::string>{"1"});
}

TEST_CASE("A manifest by digest can take its tags with it", "[support][registry]") {
  const Fixture f;
  const std::string image = image_of_hello();
  const std::string digest = f.put("first", image)["Docker-Content-Digest"];
  const auto reply = f.put(digest + "?tag=a&tag=b", image);
  CHECK(reply.status == 201);
  CHECK(std::count_if(reply.headers.begin(), reply.headers.end(),
                      [](const auto& header) { return header.first == "OCI-Tag"; }) == 2);
  CHECK(f.registry.tags("m") == std::vector<std::string>{"a", "b", "first"});
}

TEST_CASE("A manifest is looked at before it is taken", "[support][registry]") {
  const Fixture f;
  const std::string absent = "sha256:" + std::string(64, '0');
  const auto with_layer = [](const std::string& layer) {
    return R"({"schemaVersion":2,"config":)" + descriptor(config_type, hello_256, hello.size()) +
           R"(,"layers":[)" + layer + "]}";
  };
  struct Row {
    std::string reference, bytes, type;
    int status;
    std::string code;
  };
  const std::string layer_type = "application/vnd.oci.image.layer.v1.tar";
  for (const Row& row : {
           Row{"t", "{", manifest_type, 400, "MANIFEST_INVALID"},
           Row{"t", "[]", manifest_type, 400, "MANIFEST_INVALID"},
           Row{"t", R"({"schemaVersion":1})", manifest_type, 400, "MANIFEST_INVALID"},
           Row{"t", image_of_hello(), index_type, 400, "MANIFEST_INVALID"},
           Row{"t", image_of_hello(), "", 400, "MANIFEST_INVALID"},
           Row{"-t", image_of_hello(), manifest_type, 400, "MANIFEST_INVALID"},
           Row{"t", with_layer(R"({"digest":"x"})"), manifest_type, 400, "MANIFEST_INVALID"},
           Row{"t", with_layer(descriptor(layer_type, absent, 5)), manifest_type, 400,
               "MANIFEST_BLOB_UNKNOWN"},
           Row{"t", with_layer(descriptor(layer_type, hello_256, 5)), manifest_type, 400,
               "SIZE_INVALID"},
           Row{"t", index_of(absent, 5), index_type, 400, "MANIFEST_BLOB_UNKNOWN"},
           Row{"t", image_of_hello(",\"x\":\"" + std::string(5 << 20, 'x') + "\""), manifest_type,
               413, "MANIFEST_INVALID"},
       }) {
    INFO(row.bytes.substr(0, 200));
    const auto reply = row.type.empty() ? f.client("PUT", "/v2/m/manifests/t", row.bytes)
                                        : f.put(row.reference, row.bytes, row.type);
    CHECK(reply.status == row.status);
    CHECK_THAT(reply.body, ContainsSubstring(row.code));
  }
  // What may be missing: layers that are elsewhere, and a subject.
  CHECK(f.put("t", with_layer(descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar",
                                         absent, 5)))
            .status == 201);
  CHECK(
      f.put("t", image_of_hello(R"(,"subject":)" + descriptor(manifest_type, absent, 5))).status ==
      201);
}

TEST_CASE("Tags and manifests are deleted one by one or together", "[support][registry]") {
  const Fixture f;
  const std::string digest = f.put("a", image_of_hello())["Docker-Content-Digest"];
  (void)f.put("b", image_of_hello());
  CHECK(f.client("DELETE", "/v2/m/manifests/a").status == 202);
  CHECK(f.client("GET", "/v2/m/manifests/a").status == 404);
  CHECK(f.client("GET", "/v2/m/manifests/b").status == 200);
  CHECK(f.client("DELETE", "/v2/m/manifests/" + digest).status == 202);
  CHECK(f.client("GET", "/v2/m/manifests/b").status == 404);
  CHECK(f.client("DELETE", "/v2/m/manifests/" + digest).status == 404);
  CHECK(f.client("GET", "/v2/m/tags/list").body == R"({"name":"m","tags":[]})");
}

TEST_CASE("Tags are listed in order and page by page", "[support][registry]") {
  const Fixture f;
  for (const char* tag : {"c", "a", "e", "b", "d"}) {
    (void)f.put(tag, image_of_hello());
  }
  const auto tags_of = [](const RawReply& reply) {
    return reply.body.substr(reply.body.find('['));
  };
  CHECK(tags_of(f.client("GET", "/v2/m/tags/list")) == R"(["a","b","c","d","e"]})");
  const auto first = f.client("GET", "/v2/m/tags/list?n=2");
  CHECK(tags_of(first) == R"(["a","b"]})");
  CHECK(first["Link"] == R"(</v2/m/tags/list?n=2&last=b>; rel="next")");
  const auto last = f.client("GET", "/v2/m/tags/list?n=3&last=b");
  CHECK(tags_of(last) == R"(["c","d","e"]})");
  CHECK(last["Link"].empty());
  CHECK(tags_of(f.client("GET", "/v2/m/tags/list?n=0")) == "[]}");
  CHECK(f.client("GET", "/v2/m/tags/list?n=many").status == 400);
}

TEST_CASE("Referrers are listed, filtered and paged", "[support][registry]") {
  RegistryDialect dialect;
  dialect.referrers_page = 2;
  const Fixture f(dialect);
  const std::string image = image_of_hello();
  const std::string digest = f.put("1", image)["Docker-Content-Digest"];
  const std::string url = "/v2/m/referrers/" + digest;

  const auto none = f.client("GET", url);
  CHECK(none.status == 200);
  CHECK(none["Content-Type"] == index_type);
  CHECK_THAT(none.body, ContainsSubstring("\"manifests\":[]"));

  int number = 0;
  for (const std::string type : {"x/one", "x/one", "x/one", "x/two"}) {
    const std::string n = std::to_string(++number);
    const auto reply =
        f.put("r" + n,
              image_of_hello(R"(,"artifactType":")" + type + R"(","annotations":{"n":")" + n +
                             R"("},"subject":)" + descriptor(manifest_type, digest, image.size())));
    CHECK(reply.status == 201);
    CHECK(reply["OCI-Subject"] == digest);
  }
  std::string all;
  int pages = 0;
  for (std::string next = url; !next.empty(); ++pages) {
    const auto page = f.client("GET", next);
    all += page.body;
    const std::string link = page["Link"];
    next = link.empty() ? "" : link.substr(1, link.find('>') - 1);
  }
  CHECK(pages == 2);
  CHECK(occurrences(all, "\"artifactType\":\"x/one\"") == 3);
  CHECK(occurrences(all, "\"annotations\":{\"n\":") == 4);

  const auto filtered = f.client("GET", url + "?artifactType=x%2Ftwo");
  CHECK(filtered["OCI-Filters-Applied"] == "artifactType");
  CHECK(occurrences(filtered.body, "\"digest\"") == 1);
  CHECK(f.client("GET", "/v2/m/referrers/none").status == 400);
}
