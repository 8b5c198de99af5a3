#include "aipack/io/temp_file.hpp"

#include "fixture.hpp"
#include "manifests.hpp"
#include "referrers.hpp"
#include "referrers_index.hpp"
#include "support/http_server.hpp"

#include <algorithm>
#include <set>
#include <thread>

using namespace aipack;
using namespace aipack::registry_test;
using registry::Referrer;

namespace {

const std::string oci_manifest{oci::media_type::manifest};

/// A manifest that refers to another one.
Document about(const oci::Descriptor& subject, const std::string& artifact_type, int number = 0) {
  return document(
      manifest_text(R"(,"artifactType":")" + artifact_type + R"(","subject":{"mediaType":")" +
                    subject.media_type + R"(","digest":")" + subject.digest.to_string() +
                    R"(","size":)" + std::to_string(subject.size_bytes) +
                    R"(},"annotations":{"number":")" + std::to_string(number) + R"(","b":"2"})"));
}

struct Fixture {
  explicit Fixture(RegistryDialect dialect = {}) : server({.dialect = std::move(dialect)}) {
    server.put_blob("team/model", "{}");
    server.put_manifest("team/model", subject.bytes, oci_manifest, "1");
  }
  [[nodiscard]] registry::Repository open(Access access = Access::push) {
    return client.open(reference(server.host()), access);
  }
  [[nodiscard]] std::string tag() const {
    return registry::referrers_tag(subject.descriptor.digest);
  }
  Document subject = document(manifest_text());
  RegistryServer server;
  Registry client{options()};
};

std::set<oci::Digest> digests_of(const std::vector<Referrer>& referrers) {
  std::set<oci::Digest> digests;
  for (const Referrer& referrer : referrers) {
    digests.insert(referrer.digest);
  }
  return digests;
}

RegistryDialect without_api(int status = 404) {
  RegistryDialect dialect = RegistryDialect::no_referrers();
  dialect.no_referrers_status = status;
  return dialect;
}

} // namespace

TEST_CASE("what refers to a manifest is found, with the API and without", "[registry][referrers]") {
  RegistryDialect dialect;
  bool by_registry = true;
  SECTION("by the API") {}
  SECTION("on several pages") {
    dialect.referrers_page = 2;
  }
  SECTION("without a filter") {
    dialect.referrers_filter = false;
  }
  SECTION("by the tag") {
    dialect = without_api(GENERATE(404, 400, 405, 501));
    by_registry = false;
  }
  Fixture f(dialect);
  const auto repository = f.open();
  CHECK(repository.referrers(f.subject.descriptor.digest, "", {}).empty());
  std::vector<Referrer> expected;
  for (int i = 0; i < 5; ++i) {
    const Document made =
        about(f.subject.descriptor, i % 2 == 0 ? "application/even" : "application/odd", i);
    CHECK(repository.put_manifest(made, "", {}).by_registry == by_registry);
    expected.push_back(registry::referrer_of(made));
  }
  auto found = repository.referrers(f.subject.descriptor.digest, "", {});
  const auto by_digest = [](const Referrer& a, const Referrer& b) { return a.digest < b.digest; };
  std::ranges::sort(found, by_digest);
  std::ranges::sort(expected, by_digest);
  CHECK(found == expected);
  CHECK(repository.referrers(f.subject.descriptor.digest, "application/even", {}).size() == 3);
  CHECK(repository.referrers(f.subject.descriptor.digest, "application/none", {}).empty());
  CHECK(f.server.manifest("team/model", f.tag()).has_value() == !by_registry);
}

TEST_CASE("what is about a manifest that is not there can be put and found",
          "[registry][referrers]") {
  const bool by_registry = GENERATE(true, false);
  Fixture f(by_registry ? RegistryDialect::full() : without_api());
  const Document absent = document(manifest_text("    "));
  const auto repository = f.open();
  const Document made = about(absent.descriptor, "application/x");
  CHECK(repository.put_manifest(made, "tagged", {}).by_registry == by_registry);
  CHECK(repository.referrers(absent.descriptor.digest, "", {}) ==
        std::vector{registry::referrer_of(made)});
  CHECK_FALSE(repository.find(absent.descriptor.digest.to_string(), {}));
  // It may come later; what is about it stays.
  repository.put_manifest(absent, "late", {});
  CHECK(repository.referrers(absent.descriptor.digest, "", {}).size() == 1);
}

TEST_CASE("long annotations are listed whole", "[registry][referrers]") {
  Fixture f(GENERATE(RegistryDialect::full(), without_api()));
  const Document made = document(
      manifest_text(R"(,"artifactType":"application/x","subject":{"mediaType":")" + oci_manifest +
                    R"(","digest":")" + f.subject.descriptor.digest.to_string() + R"(","size":)" +
                    std::to_string(f.subject.descriptor.size_bytes) +
                    R"(},"annotations":{"long":")" + std::string(100'000, 'A') + R"("})"));
  f.open().put_manifest(made, "", {});
  const auto found = f.open().referrers(f.subject.descriptor.digest, "", {});
  REQUIRE(found.size() == 1);
  CHECK(found.front().annotations.at("long").size() == 100'000);
}

TEST_CASE("that a registry lacks the API is asked once, and remembered", "[registry][referrers]") {
  Fixture f(without_api());
  const io::TempDirectory state;
  for (int process = 0; process < 2; ++process) {
    auto chosen = options();
    chosen.state_dir = state.path();
    Registry client(chosen);
    const auto repository = client.open(reference(f.server.host()), Access::pull);
    CHECK(repository.referrers(f.subject.descriptor.digest, "", {}).empty());
    CHECK(repository.referrers(f.subject.descriptor.digest, "", {}).empty());
  }
  CHECK(f.server.count("GET", "/referrers/") == 1);
  CHECK(f.server.count("GET", "/manifests/" + f.tag()) == 4);
}

TEST_CASE("a repository that is missing says nothing about the API", "[registry][referrers]") {
  test::HttpServer server([](const test::ServedRequest&) -> test::Reply {
    return {.status = 404, .body = R"({"errors":[{"code":"NAME_UNKNOWN"}]})"};
  });
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::pull);
  CHECK(repository.referrers(oci::Digest::of("x"), "", {}).empty());
  CHECK(repository.referrers(oci::Digest::of("x"), "", {}).empty());
  CHECK(server.count("/v2/team/model/referrers/" + oci::Digest::of("x").to_string()) == 2);
}

TEST_CASE("a manifest without a subject needs no index", "[registry][referrers]") {
  Fixture f(without_api());
  f.open().put_manifest(document(manifest_text("  ")), "2", {});
  CHECK_FALSE(f.server.manifest("team/model", f.tag()));
  CHECK(f.client.requests() == 1);
}

TEST_CASE("an entry that is there already costs one read", "[registry][referrers]") {
  Fixture f(without_api());
  const Document made = about(f.subject.descriptor, "application/x");
  f.open().put_manifest(made, "", {});
  const auto before = f.client.requests();
  f.open().put_manifest(made, "", {});
  CHECK(f.client.requests() == before + 2);
}

TEST_CASE("another's wrong entry is put right, and others' entries stay", "[registry][referrers]") {
  Fixture f(without_api());
  const Document made = about(f.subject.descriptor, "application/x");
  const std::string other = R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":)"
                            R"("sha256:)" +
                            std::string(64, 'a') + R"(","size":7,"x":[1,2]})";
  // As cosign before 3.1 writes it: the type of the empty config, no annotations.
  const std::string wrong =
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
      made.descriptor.digest.to_string() + R"(","size":)" +
      std::to_string(made.descriptor.size_bytes) +
      R"(,"artifactType":"application/vnd.oci.empty.v1+json"})";
  auto dialect = without_api();
  dialect.verifies_children = false;
  f.server.set_dialect(dialect);
  f.server.put_manifest("team/model",
                        R"({"schemaVersion":2,"mediaType":")" +
                            std::string(oci::media_type::index) + R"(","manifests":[)" + wrong +
                            "," + other + "]}",
                        std::string(oci::media_type::index), f.tag());
  f.open().put_manifest(made, "", {});
  const std::string stored = f.server.manifest("team/model", f.tag())->bytes;
  CHECK_THAT(stored, ContainsSubstring(other));
  const auto found = f.open().referrers(f.subject.descriptor.digest, "", {});
  REQUIRE(found.size() == 2);
  CHECK(found[0] == registry::referrer_of(made));
}

TEST_CASE("a tag that holds something else is not touched", "[registry][referrers]") {
  Fixture f(without_api());
  f.server.put_manifest("team/model", manifest_text(" "), oci_manifest, f.tag());
  const auto error = failure_of(
      [&] { f.open().put_manifest(about(f.subject.descriptor, "application/x"), "", {}); });
  CHECK(error.code() == ErrorCode::already_exists);
  CHECK_THAT(error.message(), ContainsSubstring(f.tag()));
  REQUIRE(error.context().size() == 1);
  CHECK_THAT(error.context()[0], ContainsSubstring("it cannot be found from what it is about"));
  CHECK(f.server.manifest("team/model", f.tag())->bytes == manifest_text(" "));
}

TEST_CASE("a registry whose tags do not change says that the entry is missing",
          "[registry][referrers]") {
  auto dialect = without_api();
  dialect.immutable_tags = true;
  Fixture f(dialect);
  f.open().put_manifest(about(f.subject.descriptor, "application/x", 1), "", {});
  const auto error = failure_of(
      [&] { f.open().put_manifest(about(f.subject.descriptor, "application/x", 2), "", {}); });
  CHECK_THAT(error.message(), ContainsSubstring("index of referrers"));
  CHECK(error.context().size() == 1);
}

TEST_CASE("an index that breaks off while it is read or written is read again",
          "[registry][referrers]") {
  Fixture f(without_api());
  f.server.set_faults([&, puts = 0](const test::RegistryRequest& request) mutable {
    const bool is_put = request.method == "PUT" && request.reference == f.tag();
    return is_put && ++puts <= 2
               ? puts == 1 ? RegistryFault::respond(503) : RegistryFault::lost_answer()
               : RegistryFault{};
  });
  f.open().put_manifest(about(f.subject.descriptor, "application/x"), "", {});
  CHECK(f.open().referrers(f.subject.descriptor.digest, "", {}).size() == 1);
}

TEST_CASE("writers that know nothing of each other lose no entry", "[registry][referrers]") {
  constexpr int writers = 64;
  Fixture f(without_api());
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < writers; ++i) {
      threads.emplace_back([&, i] {
        Registry own(options()); // no memory and no lock in common
        own.open(reference(f.server.host()), Access::push)
            .put_manifest(about(f.subject.descriptor, "application/x", i), "", {});
      });
    }
  }
  const auto found = f.open().referrers(f.subject.descriptor.digest, "application/x", {});
  CHECK(digests_of(found).size() == writers);
  CHECK(found.size() == writers);
}

namespace {

/// All of them at once, as threads of one process.
void publish_all(const registry::Repository& repository, const std::vector<Document>& documents) {
  std::vector<std::jthread> threads;
  for (const Document& made : documents) {
    threads.emplace_back([&] { repository.put_manifest(made, "", {}); });
  }
}

} // namespace

TEST_CASE("threads of one process join in a few updates", "[registry][referrers]") {
  constexpr int writers = 40;
  Fixture f(without_api());
  std::vector<Document> documents;
  for (int i = 0; i < writers; ++i) {
    documents.push_back(about(f.subject.descriptor, "application/x", i));
  }
  publish_all(f.open(), documents);
  CHECK(f.open().referrers(f.subject.descriptor.digest, "", {}).size() == writers);
  // The first writes for itself, those who came meanwhile are the next; half a second is long.
  CHECK(f.server.count("PUT", f.tag()) <= 6);
}

TEST_CASE("crowds of several processes lose no entry, and join all the same",
          "[registry][referrers]") {
  constexpr int processes = 4;
  constexpr int writers = 16;
  Fixture f(without_api());
  {
    std::vector<std::jthread> crowds;
    for (int process = 0; process < processes; ++process) {
      crowds.emplace_back([&, process] {
        Registry own(options()); // no memory and no lock in common
        std::vector<Document> documents;
        for (int i = 0; i < writers; ++i) {
          documents.push_back(about(f.subject.descriptor, "application/x", process * writers + i));
        }
        publish_all(own.open(reference(f.server.host()), Access::push), documents);
      });
    }
  }
  const auto found = f.open().referrers(f.subject.descriptor.digest, "application/x", {});
  CHECK(digests_of(found).size() == processes * writers);
  CHECK(found.size() == processes * writers);
  CHECK(f.server.count("PUT", f.tag()) < processes * writers);
}

TEST_CASE("who asks to stop while his entry waits for others leaves at once",
          "[registry][referrers]") {
  Fixture f(without_api());
  std::stop_source stop;
  f.server.set_faults([&](const test::RegistryRequest& request) {
    if (request.method == "PUT" && request.reference == f.tag()) {
      stop.request_stop();
    }
    return RegistryFault{};
  });
  const auto error = failure_of([&] {
    f.open().put_manifest(about(f.subject.descriptor, "application/x"), "",
                          {.stop = stop.get_token()});
  });
  CHECK(error.code() == ErrorCode::cancelled);
  // The next takes the line: nothing of him is left in it.
  f.open().put_manifest(about(f.subject.descriptor, "application/x", 2), "", {});
  CHECK(digests_of(f.open().referrers(f.subject.descriptor.digest, "", {}))
            .contains(about(f.subject.descriptor, "application/x", 2).descriptor.digest));
}

TEST_CASE("a hostile listing of referrers is refused", "[registry][referrers]") {
  const auto reply = GENERATE(values<test::Reply>({
      {.body = "[]"},
      {.body = "{\"manifests\":[7]}"},
      {.headers = {{"Content-Type", "text/html"}}, .body = "<html>"},
      {.headers = {{"Link", "<http://127.0.0.1:1/x>; rel=next"}}, .body = "{\"manifests\":[]}"},
      {.body = std::string(registry::max_referrers_page_bytes + 1, ' ')},
      {.body = std::string(100'000, '[')},
  }));
  test::HttpServer server([&](const test::ServedRequest&) { return reply; });
  Registry client(options());
  CHECK_THROWS_AS(
      client.open(reference(server.host()), Access::pull).referrers(oci::Digest::of("x"), "", {}),
      Error);
}
