#include "support/catch.hpp"
#include "support/registry_server.hpp"
#include "unit/support/raw_client.hpp"
#include "unit/support/samples.hpp"

using namespace aipack::test;

TEST_CASE("A blob arrives in one POST", "[support][registry]") {
  const auto digest = GENERATE(hello_256, hello_512);
  const RegistryServer registry;
  const RawClient client(registry);
  const auto reply = client("POST", "/v2/m/blobs/uploads/?digest=" + digest, hello);
  CHECK(reply.status == 201);
  CHECK(reply["Docker-Content-Digest"] == digest);
  CHECK(client("GET", reply["Location"]).body == hello);
  CHECK(registry.open_uploads() == 0);
}

TEST_CASE("A blob arrives in POST and PUT", "[support][registry]") {
  const auto digest = GENERATE(hello_256, hello_512);
  const RegistryServer registry;
  const RawClient client(registry);
  const std::string location = client.open_upload("m");
  CHECK(registry.open_uploads() == 1);
  CHECK(client.close_upload(location, digest, hello).status == 201);
  CHECK(registry.blob(digest) == hello);
  CHECK(registry.open_uploads() == 0);
  // The session is over: the answer was lost, the client asks again.
  CHECK(client("GET", location).status == 404);
}

TEST_CASE("A blob arrives as one stream of unknown length", "[support][registry]") {
  const RegistryServer registry;
  const RawClient client(registry);
  const std::string location = client.open_upload("m");
  RawConnection connection(registry.port());
  connection.send_head("PATCH", location.substr(location.find("/v2")),
                       {{"Transfer-Encoding", "chunked"}}, std::nullopt);
  connection.send("5\r\nhello\r\nb;ext=1\r\n, registry\n\r\n0\r\nTrailer: x\r\n\r\n");
  const auto reply = connection.read();
  CHECK(reply.status == 202);
  CHECK(reply["Range"] == "0-15");
  CHECK(client.close_upload(reply["Location"], hello_256).status == 201);
}

TEST_CASE("A blob arrives in chunks, in order", "[support][registry]") {
  const auto digest = GENERATE(hello_256, hello_512);
  const RegistryServer registry;
  const RawClient client(registry);
  std::string location = client.open_upload("m");

  // Out of order at the start.
  CHECK(client.patch(location, 5, hello.substr(5)).status == 416);
  auto reply = client.patch(location, 0, hello.substr(0, 5));
  CHECK(reply.status == 202);
  CHECK(reply["Range"] == "0-4");
  location = reply["Location"];
  // The same again: refused with the truth.
  reply = client.patch(location, 0, hello.substr(0, 5));
  CHECK(reply.status == 416);
  CHECK(reply["Range"] == "0-4");
  reply = client("GET", location);
  CHECK(reply.status == 204);
  CHECK(reply["Range"] == "0-4");
  location = reply["Location"];
  // A gap.
  CHECK(client.patch(location, 7, hello.substr(7)).status == 416);
  reply = client.patch(location, 5, hello.substr(5, 3));
  CHECK(reply["Range"] == "0-7");

  SECTION("the last chunk in the PUT") {
    CHECK(client.close_upload(reply["Location"], digest, hello.substr(8)).status == 201);
  }
  SECTION("an empty PUT") {
    reply = client.patch(reply["Location"], 8, hello.substr(8));
    CHECK(client.close_upload(reply["Location"], digest).status == 201);
  }
  CHECK(registry.blob(digest) == hello);
  CHECK(registry.bytes_received_for(digest) >= hello.size());
}

TEST_CASE("What an upload gets wrong is refused", "[support][registry]") {
  const RegistryServer registry;
  const RawClient client(registry);
  const std::string location = client.open_upload("m");
  const auto code_of = [](const RawReply& reply) {
    const auto at = reply.body.find("\"code\":\"") + 8;
    return std::to_string(reply.status) + " " +
           reply.body.substr(at, reply.body.find('"', at) - at);
  };
  CHECK(code_of(client("PUT", location, hello)) == "400 DIGEST_INVALID");
  CHECK(code_of(client.close_upload(location, "sha256:0", hello)) == "400 DIGEST_INVALID");
  CHECK(code_of(client("PATCH", location, "abc", {{"Content-Range", "0-9"}})) ==
        "400 SIZE_INVALID");
  CHECK(code_of(client("PATCH", location, "abc", {{"Content-Range", "bytes 0-2/3"}})) ==
        "400 BLOB_UPLOAD_INVALID");
  CHECK(code_of(client.close_upload(location, hello_256, "another")) == "400 DIGEST_INVALID");
  CHECK(client("GET", location).status == 404); // that ended it
  CHECK(code_of(client("POST", "/v2/m/blobs/uploads/?digest=" + hello_256, "another")) ==
        "400 DIGEST_INVALID");
  CHECK(registry.open_uploads() == 0);
  CHECK(registry.blobs().empty());
}

TEST_CASE("An upload can be cancelled", "[support][registry]") {
  const RegistryServer registry;
  const RawClient client(registry);
  const std::string location = client.open_upload("m");
  CHECK(client("DELETE", location).status == 204);
  CHECK(client("GET", location).status == 404);
  CHECK(registry.open_uploads() == 0);
}

TEST_CASE("A blob is mounted from another repository", "[support][registry]") {
  RegistryServer registry;
  registry.put_blob("from/here", hello);
  const RawClient client(registry);
  const std::string uploads = "/v2/to/there/blobs/uploads/?mount=" + hello_256;
  const auto mounted = client("POST", uploads + "&from=from/here");
  CHECK(mounted.status == 201);
  CHECK(mounted["Docker-Content-Digest"] == hello_256);
  CHECK(registry.has_blob("to/there", hello_256));

  CHECK(client("POST", "/v2/third/blobs/uploads/?mount=" + hello_256).status == 201);
  const auto elsewhere = client("POST", uploads + "&from=not/here");
  CHECK(elsewhere.status == 202);
  CHECK(client.close_upload(elsewhere["Location"], hello_256, hello).status == 201);
}

TEST_CASE("A chunk that was cut counts, is forgotten or ends the session", "[support][registry]") {
  using PartialChunk = RegistryDialect::PartialChunk;
  const auto [partial, range, status] = GENERATE(table<PartialChunk, std::string, int>({
      {PartialChunk::keep, "0-8", 204},
      {PartialChunk::discard, "0-4", 204},
      {PartialChunk::poison, "", 404},
  }));
  RegistryDialect dialect;
  dialect.partial_chunk = partial;
  const RegistryServer registry({.dialect = dialect});
  const RawClient client(registry);
  std::string location = client.open_upload("m");
  location = client.patch(location, 0, hello.substr(0, 5))["Location"];
  client.cut("PATCH", location, hello.substr(5), 4, {{"Content-Range", "5-15"}});
  const auto reply = client("GET", location);
  CHECK(reply.status == status);
  CHECK(reply["Range"] == range);
  if (status == 204) {
    const std::size_t next = std::stoull(range.substr(2)) + 1;
    const auto rest = client.patch(reply["Location"], next, hello.substr(next));
    CHECK(client.close_upload(rest["Location"], hello_256).status == 201);
  } else {
    CHECK(client.close_upload(location, hello_256, hello).status == 404);
  }
  CHECK(registry.bytes_received() >= 9);
}

TEST_CASE("An upload at the storage origin needs its signature and no credentials",
          "[support][registry]") {
  const RegistryServer registry({.dialect = RegistryDialect::redirecting()});
  const RawClient client(registry);
  const std::string location = client.open_upload("m");
  CHECK(location.starts_with(registry.url("/v2/m/blobs/uploads/", Origin::storage)));
  CHECK(client("PATCH", location.substr(0, location.find('?')), hello).status == 403);
  CHECK(client("PATCH", location, hello, {{"Authorization", "Basic eDp5"}}).status == 400);
  CHECK(registry.leaks().size() == 1);
  CHECK(client.close_upload(location, hello_256, hello).status == 201);
  CHECK(registry.has_blob("m", hello_256));
}

TEST_CASE("100-continue is obeyed, ignored or refused", "[support][registry]") {
  using Expect = RegistryDialect::Expect;
  const auto expect = GENERATE(Expect::obey, Expect::ignore, Expect::reject);
  RegistryDialect dialect;
  dialect.expect = expect;
  const RegistryServer registry({.dialect = dialect});
  RawConnection connection(registry.port());
  connection.send_head("POST", "/v2/m/blobs/uploads/?digest=" + hello_256,
                       {{"Expect", "100-continue"}}, hello.size());
  if (expect == Expect::reject) {
    CHECK(connection.read().status == 417);
    return;
  }
  connection.send(hello);
  CHECK(connection.read().status == 201);
}

TEST_CASE("Large bodies leave no trace in memory", "[support][registry]") {
  const RegistryServer registry({.storage = RegistryStorage::sink});
  RawConnection connection(registry.port());
  const std::uint64_t size = std::uint64_t{256} << 20;
  const std::string block(std::size_t{1} << 20, 'z');
  connection.send_head("POST", "/v2/m/blobs/uploads/?digest=sha256:" + std::string(64, 'f'), {},
                       size);
  for (std::uint64_t sent = 0; sent < size; sent += block.size()) {
    REQUIRE(connection.send(block));
  }
  CHECK(connection.read().status == 201);
  CHECK(registry.bytes_received() == size);
  CHECK(registry.blob_size("sha256:" + std::string(64, 'f')) == size);
}
