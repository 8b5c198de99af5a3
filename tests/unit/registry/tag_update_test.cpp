#include "aipack/io/temp_file.hpp"

#include "fixture.hpp"
#include "memory.hpp"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

using namespace aipack;
using namespace aipack::registry_test;
using Json = nlohmann::ordered_json;

namespace {

const std::string oci_manifest{oci::media_type::manifest};
const std::string tag = "sha256-" + std::string(64, 'b') + ".sig";

/// A manifest whose layers are a set that several writers add to, as cosign keeps signatures.
struct Fixture {
  explicit Fixture(RegistryDialect dialect = {}) : server({.dialect = std::move(dialect)}) {
    server.put_blob("team/model", "{}");
  }
  [[nodiscard]] registry::Repository open() {
    return client.open(reference(server.host()), Access::push);
  }
  [[nodiscard]] std::string stored() const {
    const auto manifest = server.manifest("team/model", tag);
    return manifest ? manifest->bytes : std::string{};
  }
  [[nodiscard]] std::multiset<std::string> layers() const {
    std::multiset<std::string> digests;
    const Json json = Json::parse(stored());
    for (const Json& layer : json.at("layers")) {
      digests.insert(layer.at("digest").get<std::string>());
    }
    return digests;
  }
  RegistryServer server;
  Registry client{options()};
};

/// Adds a layer to what is there.
class AddLayer {
public:
  explicit AddLayer(std::string digest) : digest_(std::move(digest)) {}
  std::optional<Document> operator()(const Document* current) const {
    Json json = Json::parse(current != nullptr ? current->bytes : manifest_text());
    for (const Json& layer : json["layers"]) {
      if (layer["digest"] == digest_) {
        return std::nullopt;
      }
    }
    json["layers"].push_back({{"mediaType", "text/plain"}, {"digest", digest_}, {"size", 2}});
    return document(json.dump());
  }

private:
  std::string digest_;
};

} // namespace

TEST_CASE("update_tag makes a manifest, and adds to one", "[registry][tags]") {
  Fixture f;
  const std::string first = f.server.put_blob("team/model", "11");
  const std::string second = f.server.put_blob("team/model", "22");
  const Document made = f.open().update_tag(tag, AddLayer(first), {});
  CHECK(made.bytes == f.stored());
  CHECK(f.layers() == std::multiset{first});
  const Document grown = f.open().update_tag(tag, AddLayer(second), {});
  CHECK(grown.bytes == f.stored());
  CHECK(grown.descriptor == document(f.stored()).descriptor);
  CHECK(f.layers() == std::multiset{first, second});
  CHECK(f.server.count("PUT", "/manifests/" + tag) == 2);
}

TEST_CASE("update_tag reads once what is there already", "[registry][tags]") {
  Fixture f;
  const std::string layer = f.server.put_blob("team/model", "11");
  const Document made = f.open().update_tag(tag, AddLayer(layer), {});
  SECTION("as the merge says") {
    const auto before = f.client.requests();
    CHECK(f.open().update_tag(tag, AddLayer(layer), {}).bytes == made.bytes);
    CHECK(f.client.requests() == before + 1);
  }
  SECTION("as its bytes say") {
    const auto before = f.client.requests();
    const auto same = [](const Document* current) { return std::optional(*current); };
    CHECK(f.open().update_tag(tag, same, {}).bytes == made.bytes);
    CHECK(f.client.requests() == before + 1);
  }
}

TEST_CASE("update_tag gives up where the merge does, and writes nothing", "[registry][tags]") {
  Fixture f;
  f.server.put_manifest("team/model", manifest_text(), oci_manifest, tag);
  const auto error = failure_of([&] {
    f.open().update_tag(tag,
                        [](const Document*) -> std::optional<Document> {
                          throw Error(ErrorCode::already_exists, "something else is there");
                        },
                        {});
  });
  CHECK(error.code() == ErrorCode::already_exists);
  CHECK(f.stored() == manifest_text());
  CHECK(f.server.count("PUT", "") == 0);
}

TEST_CASE("update_tag refuses what cannot be written", "[registry][tags]") {
  Fixture f;
  const auto writes = [](std::optional<Document> what) {
    return [what](const Document*) { return what; };
  };
  Document wrong = document(manifest_text());
  wrong.bytes += " ";
  CHECK(failure_of([&] { f.open().update_tag(tag, writes(wrong), {}); }).code() ==
        ErrorCode::corrupt);
  const Document large = document(manifest_text(std::string(oci::max_manifest_bytes, ' ')));
  CHECK(failure_of([&] { f.open().update_tag(tag, writes(large), {}); }).code() ==
        ErrorCode::unsupported);
  const auto nothing = failure_of([&] { f.open().update_tag(tag, writes(std::nullopt), {}); });
  CHECK(nothing.code() == ErrorCode::invalid_input);
  CHECK_THAT(nothing.message(), ContainsSubstring(tag));
  const std::string digest = oci::Digest::of("x").to_string();
  CHECK(failure_of([&] { f.open().update_tag(digest, writes(std::nullopt), {}); }).code() ==
        ErrorCode::invalid_input);
  CHECK(f.server.count("PUT", "") == 0);
}

TEST_CASE("an update that breaks off while it is written is read again", "[registry][tags]") {
  Fixture f;
  const std::string layer = f.server.put_blob("team/model", "11");
  f.server.set_faults([&, puts = 0](const test::RegistryRequest& request) mutable {
    const bool is_put = request.method == "PUT" && request.reference == tag;
    return is_put && ++puts <= 2
               ? puts == 1 ? RegistryFault::respond(503) : RegistryFault::lost_answer()
               : RegistryFault{};
  });
  f.open().update_tag(tag, AddLayer(layer), {});
  CHECK(f.layers() == std::multiset{layer});
  // Read anew, not sent anew: others may have written meanwhile.
  CHECK(f.server.count("PUT", "/manifests/" + tag) == 2);
}

TEST_CASE("a merge that took long is made again of what is there by then", "[registry][tags]") {
  Fixture f;
  const std::string mine = f.server.put_blob("team/model", "us");
  const std::string theirs = f.server.put_blob("team/model", "it");
  int merges = 0;
  f.open().update_tag(tag,
                      [&](const Document* current) {
                        if (++merges == 1) {
                          std::this_thread::sleep_for(std::chrono::milliseconds(200));
                          f.server.put_manifest("team/model", AddLayer(theirs)(nullptr)->bytes,
                                                oci_manifest, tag);
                        }
                        return AddLayer(mine)(current);
                      },
                      {});
  CHECK(f.layers() == std::multiset{mine, theirs});
  CHECK(f.server.count("PUT", "/manifests/" + tag) == 1);
}

TEST_CASE("processes that share a state directory take turns, from reading to writing",
          "[registry][tags]") {
  Fixture f;
  const std::string mine = f.server.put_blob("team/model", "us");
  const std::string theirs = f.server.put_blob("team/model", "it");
  const io::TempDirectory state;
  auto with_state = options();
  with_state.state_dir = state.path();
  Registry client(with_state);
  const auto origin = "http://" + f.server.host();
  const registry::EndpointMemory other(registry::EndpointMemory::file_in(state.path(), origin),
                                       origin);
  auto turn = other.lock_tag("team/model:" + tag, {});
  REQUIRE(turn != nullptr);
  std::jthread writer([&] {
    client.open(reference(f.server.host()), Access::push).update_tag(tag, AddLayer(mine), {});
  });
  while (f.server.count("GET", "/manifests/" + tag) == 0) {
    std::this_thread::yield();
  }
  // It has read, and found that it has something to write. The other writes first.
  f.server.put_manifest("team/model", AddLayer(theirs)(nullptr)->bytes, oci_manifest, tag);
  CHECK(f.server.count("PUT", "/manifests/" + tag) == 0);
  turn.reset();
  writer.join();
  CHECK(f.layers() == std::multiset{mine, theirs});
  CHECK(f.server.count("PUT", "/manifests/" + tag) == 1);
}

TEST_CASE("what another takes away before it has settled is written again", "[registry][tags]") {
  Fixture f;
  const std::string mine = f.server.put_blob("team/model", "us");
  const std::string theirs = f.server.put_blob("team/model", "it");
  // Has read before us, and writes after us.
  f.server.set_faults([&, puts = 0](const test::RegistryRequest& request) mutable {
    if (request.method == "GET" && request.reference == tag && puts == 1) {
      puts = 2;
      f.server.put_manifest("team/model", AddLayer(theirs)(nullptr)->bytes, oci_manifest, tag);
    }
    puts += request.method == "PUT" && request.reference == tag ? 1 : 0;
    return RegistryFault{};
  });
  f.open().update_tag(tag, AddLayer(mine), {});
  CHECK(f.layers() == std::multiset{mine, theirs});
}

TEST_CASE("writers of one tag that know nothing of each other lose nothing", "[registry][tags]") {
  constexpr int writers = 64;
  Fixture f;
  std::multiset<std::string> expected;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < writers; ++i) {
      const std::string layer = f.server.put_blob("team/model", std::to_string(10 + i));
      expected.insert(layer);
      threads.emplace_back([&, layer] {
        Registry own(options()); // no memory and no lock in common
        own.open(reference(f.server.host()), Access::push).update_tag(tag, AddLayer(layer), {});
      });
    }
  }
  CHECK(f.layers() == expected);
}
