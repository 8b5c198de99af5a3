#include "support/catch.hpp"
#include "support/registry_server.hpp"
#include "unit/support/raw_client.hpp"
#include "unit/support/samples.hpp"

#include <set>

using namespace aipack::test;

TEST_CASE("The base endpoint says that the API is spoken here", "[support][registry]") {
  const RegistryServer registry;
  const RawClient client(registry);
  const auto reply = client("GET", "/v2/");
  CHECK(reply.status == 200);
  CHECK(reply["Docker-Distribution-Api-Version"] == "registry/2.0");
  CHECK(client("GET", "/").status == 404);
  CHECK(client("GET", "/v2/x").status == 404);
}

TEST_CASE("A blob is found, fetched and deleted by its digest", "[support][registry]") {
  RegistryServer registry;
  const RawClient client(registry);
  CHECK(registry.put_blob("team/model", hello) == hello_256);
  const std::string url = "/v2/team/model/blobs/" + hello_256;

  const auto head = client("HEAD", url);
  CHECK(head.status == 200);
  CHECK(head["Content-Length"] == std::to_string(hello.size()));
  CHECK(head["Docker-Content-Digest"] == hello_256);
  const auto get = client("GET", url);
  CHECK(get.status == 200);
  CHECK(get.body == hello);
  CHECK(client("GET", url, "", {{"If-None-Match", get["ETag"]}}).status == 304);

  CHECK(client("HEAD", "/v2/other/blobs/" + hello_256).status == 404); // not of this repository
  CHECK(client("DELETE", url).status == 202);
  CHECK(client("GET", url).status == 404);
  CHECK(client("DELETE", url).status == 404);
}

TEST_CASE("Requests that name nothing get the code of the specification", "[support][registry]") {
  RegistryServer registry;
  registry.put_blob("team/model", "x");
  const RawClient client(registry);
  struct Row {
    std::string method, target;
    int status;
    std::string code;
  };
  const std::string absent = "sha256:" + std::string(64, '0');
  for (const Row& row : {
           Row{"GET", "/v2/team/model/blobs/" + absent, 404, "BLOB_UNKNOWN"},
           Row{"GET", "/v2/team/model/blobs/sha256:00", 400, "DIGEST_INVALID"},
           Row{"GET", "/v2/team/model/blobs/md5:" + std::string(32, '0'), 400, "DIGEST_INVALID"},
           Row{"GET", "/v2/Team/tags/list", 400, "NAME_INVALID"},
           Row{"GET", "/v2/a..b/tags/list", 400, "NAME_INVALID"},
           Row{"GET", "/v2/nobody/tags/list", 404, "NAME_UNKNOWN"},
           Row{"GET", "/v2/team/model/manifests/" + absent, 404, "MANIFEST_UNKNOWN"},
           Row{"GET", "/v2/team/model/manifests/none", 404, "MANIFEST_UNKNOWN"},
           Row{"GET", "/v2/team/model/blobs/uploads/none", 404, "BLOB_UPLOAD_UNKNOWN"},
           Row{"PUT", "/v2/team/model/blobs/" + hello_256, 405, "UNSUPPORTED"},
       }) {
    INFO(row.method << " " << row.target);
    const auto reply = client(row.method, row.target);
    CHECK(reply.status == row.status);
    CHECK_THAT(reply.body, ContainsSubstring("\"code\":\"" + row.code + "\""));
    CHECK_THAT(reply.body, ContainsSubstring("\"message\":"));
  }
}

TEST_CASE("A range of a blob is one of six forms", "[support][registry]") {
  RegistryServer registry;
  const std::string digest = registry.put_blob("m", "0123456789");
  const RawClient client(registry);
  struct Row {
    std::string range;
    int status;
    std::string content_range, body;
  };
  for (const Row& row : {
           Row{"bytes=0-3", 206, "bytes 0-3/10", "0123"},
           Row{"bytes=4-", 206, "bytes 4-9/10", "456789"},
           Row{"bytes=-3", 206, "bytes 7-9/10", "789"},
           Row{"bytes=8-100", 206, "bytes 8-9/10", "89"},
           Row{"bytes=-100", 206, "bytes 0-9/10", "0123456789"},
           Row{"bytes=0-0", 206, "bytes 0-0/10", "0"},
           // What a server may ignore.
           Row{"bytes=5-2", 200, "", "0123456789"},
           Row{"lines=0-1", 200, "", "0123456789"},
           Row{"bytes=0-1,4-5", 200, "", "0123456789"},
       }) {
    INFO(row.range);
    const auto reply = client("GET", "/v2/m/blobs/" + digest, "", {{"Range", row.range}});
    CHECK(reply.status == row.status);
    CHECK(reply["Content-Range"] == row.content_range);
    CHECK(reply.body == row.body);
  }
  for (const std::string range : {"bytes=10-", "bytes=10-12", "bytes=-0"}) {
    INFO(range);
    const auto reply = client("GET", "/v2/m/blobs/" + digest, "", {{"Range", range}});
    CHECK(reply.status == 416);
    CHECK(reply["Content-Range"] == "bytes */10");
  }
  const auto changed = client("GET", "/v2/m/blobs/" + digest, "",
                              {{"Range", "bytes=4-"}, {"If-Range", "\"another\""}});
  CHECK(changed.status == 200);
}

TEST_CASE("Blobs are the same in memory and in files, and a sink keeps their sizes",
          "[support][registry]") {
  const auto root =
      std::filesystem::temp_directory_path() / ("aipack-registry-" + std::to_string(::getpid()));
  const std::string large(1'000'000, 'x');
  {
    const RegistryServer registry({.storage = RegistryStorage::directory, .root = root});
    const RawClient client(registry);
    CHECK(client("POST", "/v2/m/blobs/uploads/?digest=" + hello_256, hello).status == 201);
    CHECK(client("GET", "/v2/m/blobs/" + hello_256).body == hello);
    CHECK(client("GET", "/v2/m/blobs/" + hello_256, "", {{"Range", "bytes=7-"}}).body ==
          "registry\n");
    CHECK(std::filesystem::file_size(root / "blobs" / "sha256" / hello_256.substr(7)) ==
          hello.size());
    (void)client.open_upload("m");
  }
  {
    const RegistryServer again({.storage = RegistryStorage::directory, .root = root});
    CHECK(again.blob(hello_256) == hello);
    CHECK(std::filesystem::is_empty(root / "uploads"));
  }
  std::filesystem::remove_all(root);

  const RegistryServer sink({.storage = RegistryStorage::sink});
  const RawClient client(sink);
  const std::string anything = "sha256:" + std::string(64, 'a');
  CHECK(client("POST", "/v2/m/blobs/uploads/?digest=" + anything, large).status == 201);
  CHECK(client("HEAD", "/v2/m/blobs/" + anything)["Content-Length"] == "1000000");
  CHECK(client("GET", "/v2/m/blobs/" + anything).status == 404);
  CHECK(sink.bytes_received() == large.size());
}

TEST_CASE("Blob GETs can lead to a signed URL that takes no credentials", "[support][registry]") {
  RegistryServer registry({.dialect = RegistryDialect::redirecting()});
  registry.put_blob("m", hello);
  const RawClient client(registry);
  const auto reply = client("GET", "/v2/m/blobs/" + hello_256);
  CHECK(reply.status == 307);
  const std::string location = reply["Location"];
  CHECK(location.starts_with(registry.url("/v2/m/blobs/", Origin::storage)));
  CHECK(client("GET", location).body == hello);
  CHECK(client("GET", location, "", {{"Range", "bytes=0-4"}}).body == "hello");
  CHECK(registry.leaks().empty());

  CHECK(client("GET", location, "", {{"Authorization", "Bearer x"}}).status == 400);
  REQUIRE(registry.leaks().size() == 1);
  CHECK(registry.leaks().front().origin == Origin::storage);
  const std::string unsigned_location = location.substr(0, location.find('?'));
  CHECK(client("GET", unsigned_location).status == 403);
}

TEST_CASE("The log knows each request before its client has the answer", "[support][registry]") {
  const RegistryServer registry;
  const RawClient client(registry);
  (void)client("POST", "/v2/m/blobs/uploads/?digest=" + hello_256, hello, {{"X-Mark", "1"}});
  (void)client("GET", "/v2/m/blobs/" + hello_256);
  const auto log = registry.log();
  REQUIRE(log.size() == 2);
  CHECK(log[0].method == "POST");
  CHECK(log[0].header("x-mark") == "1");
  CHECK(log[0].repository == "m");
  CHECK(log[0].digest == hello_256);
  CHECK(log[0].status == 201);
  CHECK(log[0].received == hello.size());
  CHECK(log[1].sent == hello.size());
  CHECK(log[1].connection == 2);
  CHECK(registry.bytes_received_for(hello_256) == hello.size());
  CHECK(registry.bytes_received_for(log[0].upload) == hello.size());
  CHECK(registry.count("GET", "/blobs/") == 1);
  CHECK(registry.connections() == 2);
}
