// Copies from, to and between registries: the test registry, which shares no code with the library.
#include "aipack/core/text.hpp"

#include "registries.hpp"
#include "support/catch.hpp"

#include <cstdlib>

using namespace aipack;
using namespace aipack::transfer;
using namespace aipack::transfer::test;
using Kind = RegistryFault::Kind;

namespace {

/// One user, one password.
class OneCredential final : public registry::CredentialStore {
public:
  OneCredential(std::string user, std::string_view password)
      : credential_{.username = std::move(user), .password = registry::Secret(password)} {}
  std::optional<registry::Credential> find(std::string_view, std::string_view,
                                           const Operation&) override {
    return credential_;
  }

private:
  registry::Credential credential_;
};

/// The server holds the whole of a signed sample under `name`.
void check_whole(registry::Registry& registry, const image::Location& location,
                 const Signed& sample) {
  const auto origin = open_origin(location, registry, {});
  const auto memory = sample.place.open(sample.root);
  const auto root = origin->resolve({});
  CHECK(root.digest == sample.root.digest);
  CHECK(reachable(*origin, root) == reachable(*memory, sample.root));
  CHECK(all_attachments(*origin, sample) == expected_attachments(sample));
}

} // namespace

TEST_CASE("an image goes from memory through registries, layouts and archives and back",
          "[transfer][registry]") {
  const auto dialect = GENERATE(as<std::string>{}, "full", "distribution_2_8", "redirecting");
  INFO(dialect);
  RegistryServer first({.dialect = *RegistryDialect::find(dialect)});
  RegistryServer second;
  io::TempDirectory directory;
  const auto sample = signed_sample();
  registry::Registry registry(patient());
  const std::vector<image::Location> stations{
      in(first, "team/model:1"),        file("oci", directory.path() / "a"),
      in(first, "team/from-layout:1"),  file("oci-archive", directory.path() / "b.tar"),
      in(first, "team/from-archive:1"), in(second, "other/model:2"),
      in(second, "other/again:3"),      in(first, "back/model:1")};
  const auto pushed = copy(*sample.place.open(sample.root), stations.front(), registry, {}, {});
  CHECK(pushed.sent.count >= 10);
  CHECK(pushed.referrers == 5);
  CHECK(pushed.requests > 10);
  check_whole(registry, stations.front(), sample);
  for (std::size_t i = 0; i + 1 < stations.size(); ++i) {
    INFO(stations[i + 1].to_string());
    const auto report = copy(stations[i], stations[i + 1], registry, {}, {});
    CHECK(report.notes.empty());
    CHECK(report.referrers == 5);
    check_whole(registry, stations[i + 1], sample);
  }
  const auto archive = directory.path() / "d.tar";
  copy(stations.front(), image::Location::parse("docker-archive:" + archive.string()), registry,
       {.platforms = oci::Platform::parse_list("arm64")}, {});
  const auto saved =
      open_origin(image::Location::parse("docker-archive:" + archive.string()), registry, {});
  CHECK(image::find_file(open_image(*saved, {}).images().front(), path("models/digits.onnx"), {}) ==
        noise(700, 4));
}

TEST_CASE("a push that changes nothing asks three times, token included", "[transfer][registry]") {
  RegistryAuth auth;
  auth.kind = RegistryAuth::Kind::bearer;
  RegistryServer server({.auth = auth});
  MemoryStore store;
  MemoryPlace place;
  const auto root = put_index(place, sample_index(store, zstd, {"amd64", "arm64"}, 100));
  const auto to = in(server, "team/model:1");
  auto options = patient();
  options.credentials = std::make_shared<OneCredential>(auth.user, auth.password);
  {
    registry::Registry registry(options);
    CHECK_FALSE(copy(*place.open(root), to, registry, {}, {}).unchanged);
  }
  server.clear_log();
  registry::Registry registry(options);
  const auto report = copy(*place.open(root), to, registry, {}, {});
  CHECK(report.unchanged);
  CHECK(report.root.digest == root.digest);
  CHECK(report.requests <= 3);
  CHECK(server.log().size() <= 3);
  CHECK(server.count("PUT") == 0);
}

TEST_CASE("within a registry blobs are mounted and not sent", "[transfer][registry]") {
  RegistryServer server;
  const auto sample = signed_sample();
  registry::Registry registry(patient());
  const auto from = in(server, "team/model:1");
  copy(*sample.place.open(sample.root), from, registry, {}, {});
  server.clear_log();
  const auto report = copy(from, in(server, "mirror/model:1"), registry, {}, {});
  CHECK(report.sent.count == 0);
  CHECK(report.sent_bytes == 0);
  CHECK(report.mounted.count > 6);
  CHECK(server.bytes_received() == 0);
  for (const auto& request : server.log()) {
    INFO(request.method << " " << request.target);
    CHECK_FALSE((request.method == "GET" && request.path.find("/blobs/") != std::string::npos));
    CHECK_FALSE((request.method == "PATCH"));
  }
  check_whole(registry, in(server, "mirror/model:1"), sample);

  server.clear_log();
  const auto retag = copy(from, in(server, "team/model:2"), registry, {.referrers = false}, {});
  CHECK(retag.manifests == 1);
  CHECK(server.count("", "/blobs/") == 0); // the index is there: so is what it names
  CHECK(server.tags("team/model").size() >= 2);
}

TEST_CASE("the order on the wire is blobs, manifests, index, referrers, tag",
          "[transfer][registry]") {
  RegistryServer server;
  const auto sample = signed_sample();
  registry::Registry registry(patient());
  copy(*sample.place.open(sample.root), in(server, "team/model:1"), registry, {.concurrency = 4},
       {});
  std::vector<std::string> order;
  for (const auto& request : server.log()) {
    if (request.method == "PUT" && request.path.find("/manifests/") != std::string::npos) {
      order.push_back(request.reference);
    } else if (request.method == "PUT" || request.method == "POST") {
      CHECK(order.empty()); // no blob after a manifest
    }
  }
  const auto place_of = [&](const std::string& reference) {
    const auto found = std::ranges::find(order, reference);
    REQUIRE(found != order.end());
    return found - order.begin();
  };
  const auto root = place_of(sample.root.digest.to_string());
  for (const auto& manifest : sample.manifests) {
    CHECK(place_of(manifest.to_string()) < root);
  }
  for (const auto& referrer : sample.referrers) {
    CHECK(place_of(referrer.digest.to_string()) > root);
  }
  for (const auto& [tag, descriptor] : sample.tagged) {
    CHECK(place_of(tag) > root);
  }
  CHECK(order.back() == "1");
  CHECK(std::ranges::count(order, "1") == 1);
}

TEST_CASE("every blob is sent once, whoever names it", "[transfer][registry]") {
  RegistryServer server;
  const auto sample = signed_sample();
  registry::Registry registry(patient());
  copy(*sample.place.open(sample.root), in(server, "team/model:1"), registry, {.concurrency = 6},
       {});
  std::map<std::string, int> closed;
  for (const auto& request : server.log()) {
    if ((request.method == "PUT" || request.method == "POST") && request.status == 201 &&
        !request.digest.empty() && request.path.find("/blobs/") != std::string::npos) {
      ++closed[request.digest];
    }
  }
  CHECK(closed.size() > 8);
  for (const auto& [digest, times] : closed) {
    INFO(digest);
    CHECK(times == 1);
  }
}

TEST_CASE("a digest as target takes nothing else, and gets no tag", "[transfer][registry]") {
  RegistryServer server;
  const auto sample = signed_sample();
  registry::Registry registry(patient());
  const auto memory = sample.place.open(sample.root);
  const auto wrong = in(server, "team/model@" + oci::Digest::of("other").to_string());
  CHECK_THROWS_WITH(copy(*memory, wrong, registry, {}, {}),
                    ContainsSubstring(sample.root.digest.to_string()));
  CHECK(server.log().empty());
  const auto right = in(server, "team/model@" + sample.root.digest.to_string());
  copy(*memory, right, registry, {.referrers = false}, {});
  CHECK(server.manifest("team/model", sample.root.digest.to_string()));
  CHECK(server.tags("team/model").empty());
  CHECK(copy(*memory, right, registry, {.referrers = false}, {}).unchanged);
}

TEST_CASE("a registry without tags in references means latest", "[transfer][registry]") {
  RegistryServer server;
  const auto sample = signed_sample();
  registry::Registry registry(patient());
  copy(*sample.place.open(sample.root), in(server, "team/model"), registry, {.referrers = false},
       {});
  CHECK(server.tags("team/model") == std::vector<std::string>{"latest"});
  CHECK(open_origin(in(server, "team/model"), registry, {})->resolve({}).digest ==
        sample.root.digest);
}

TEST_CASE("a registry that says 403 for absent tags is pushed to", "[transfer][registry]") {
  RegistryServer server({.dialect = RegistryDialect::artifactory()});
  const auto sample = signed_sample();
  registry::Registry registry(patient());
  copy(*sample.place.open(sample.root), in(server, "team/model:1"), registry, {}, {});
  check_whole(registry, in(server, "team/model:1"), sample);
}

TEST_CASE("a listing that nobody updated is completed by the next push", "[transfer][registry]") {
  // The manifest of a signature is there, the fallback index does not list it: its push was cut.
  RegistryServer server({.dialect = RegistryDialect::no_referrers()});
  const auto sample = signed_sample();
  registry::Registry registry(patient());
  const auto memory = sample.place.open(sample.root);
  const auto to = in(server, "team/model:1");
  copy(*memory, to, registry, {.referrers = false}, {});
  const auto& signature = sample.referrers.front();
  const auto& bytes = sample.place.blobs().at(signature.digest);
  server.put_blob("team/model", "{}");
  server.put_blob("team/model", "a signature");
  server.put_manifest("team/model", bytes, std::string(oci::media_type::manifest));
  const auto report = copy(*memory, to, registry, {}, {});
  CHECK(report.unchanged);
  CHECK(report.referrers == 5);
  check_whole(registry, to, sample);
}

TEST_CASE("what cannot be read of a listing hides neither the tags nor the other way round",
          "[transfer][registry]") {
  RegistryServer server({.dialect = RegistryDialect::no_referrers()});
  const auto sample = signed_sample();
  auto options = patient();
  options.patience.attempts = 2;
  registry::Registry registry(options);
  const auto place = in(server, "team/model:1");
  copy(*sample.place.open(sample.root), place, registry, {}, {});
  const auto list = [&] {
    registry::Registry fresh(options);
    return open_origin(place, fresh, {})->list_attachments(sample.root.digest, {});
  };
  CHECK(list().found.size() == 3); // a referrer, .sig and .att
  CHECK(list().failures.empty());
  const auto check_kept = [&](std::size_t found, ErrorCode code) {
    const auto kept = list();
    CHECK(kept.found.size() == found);
    REQUIRE(kept.failures.size() == 1);
    CHECK(kept.failures.front().code() == code);
    // Who needs all of it, as a copy does, is told.
    const auto origin = open_origin(place, registry, {});
    CHECK_THROWS_AS(origin->attachments(sample.root.digest, {}), Error);
    io::TempDirectory directory;
    CHECK_THROWS_AS(copy(place, file("oci", directory.path() / "a"), registry, {}, {}), Error);
  };
  const auto listing = "sha256-" + sample.root.digest.hex();
  SECTION("a listing that is a manifest") {
    const auto signature = server.manifest("team/model", listing + ".sig");
    server.tag("team/model", listing, signature->digest);
    check_kept(2, ErrorCode::already_exists);
  }
  SECTION("a listing that is no JSON") {
    server.put_manifest("team/model", "no JSON", std::string(oci::media_type::index), listing);
    check_kept(2, ErrorCode::corrupt);
  }
  SECTION("a tag that is of a withdrawn kind") {
    server.put_manifest("team/model", R"({"schemaVersion":1})",
                        "application/vnd.docker.distribution.manifest.v1+json", listing + ".sig");
    check_kept(2, ErrorCode::unsupported);
  }
  SECTION("a network that fails") {
    const auto tag = GENERATE(as<std::string>{}, "", ".sig", ".att", ".sbom");
    CAPTURE(tag);
    server.set_faults([&](const aipack::test::RegistryRequest& request) {
      return request.path.ends_with("/manifests/" + listing + tag) ? RegistryFault::respond(503)
                                                                   : RegistryFault{};
    });
    try {
      static_cast<void>(list());
      FAIL("a list was given without having seen it all");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::unavailable);
    }
  }
}

// --- faults ---

/// More rounds look at other seeds: AIPACK_TEST_ROUNDS=1000.
std::uint64_t rounds() {
  const char* const text = std::getenv("AIPACK_TEST_ROUNDS");
  return text == nullptr ? 12 : parse_decimal(text).value_or(12);
}

TEST_CASE("random faults: the whole image or a clean error with the old tag",
          "[transfer][registry][fault][property]") {
  const auto sample = signed_sample(1000);
  MemoryStore store;
  MemoryPlace old_place;
  const auto old_root = put_index(old_place, sample_index(store, plain, {"riscv64"}, 1000));
  const std::vector<std::string> dialects{"full", "distribution_2_8", "ghcr", "redirecting"};
  int succeeded = 0;
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= rounds(); ++seed) {
    const auto& dialect = dialects[seed % dialects.size()];
    INFO("seed " << seed << ", " << dialect);
    RegistryServer server({.dialect = *RegistryDialect::find(dialect)});
    io::TempDirectory directory;
    auto options = patient(directory.path() / "state");
    options.patience.attempts = 2 + static_cast<unsigned>(seed % 3);
    options.patience.stall_timeout = std::chrono::milliseconds(100);
    options.patience.max_retry_after = std::chrono::milliseconds(10);
    registry::Registry registry(options);
    const auto to = in(server, "team/model:1");
    copy(*old_place.open(old_root), to, registry, {}, {});

    aipack::test::FaultStorm storm;
    storm.seed = seed;
    storm.rate = seed % 5 == 0 ? 0.5 : 0.1;
    storm.stall = std::chrono::milliseconds(200);
    storm.statuses = {408, 416, 500, 502, 503};
    server.set_storm(storm);
    const auto layout = file("oci", directory.path() / "out");
    bool pushed = false;
    try {
      copy(*sample.place.open(sample.root), to, registry, {.concurrency = 4}, {});
      pushed = true;
      copy(to, layout, registry, {.concurrency = 4}, {});
      ++succeeded;
    } catch (const Error& error) {
      ++failed;
      INFO(error.what());
      CHECK(error.code() != ErrorCode::internal);
      CHECK(error.message().starts_with("cannot"));
    }
    server.set_storm(std::nullopt);
    const auto tag = server.manifest("team/model", "1");
    REQUIRE(tag);
    // The tag is the old index or the new one, and the new one only with all that belongs to it.
    if (tag->digest != old_root.digest.to_string()) {
      REQUIRE(tag->digest == sample.root.digest.to_string());
      check_whole(registry, to, sample);
    } else {
      CHECK_FALSE(pushed);
    }
    // What is on disk are whole blobs, or what the next run continues from.
    if (std::filesystem::exists(directory.path() / "out" / "blobs" / "sha256")) {
      for (const auto& name : files_below(directory.path() / "out" / "blobs" / "sha256")) {
        CHECK(name ==
              oci::Digest::of(read_bytes(directory.path() / "out" / "blobs" / "sha256" / name))
                  .hex());
      }
    }
    // The same command again finishes.
    copy(*sample.place.open(sample.root), to, registry, {}, {});
    copy(to, layout, registry, {}, {});
    check_whole(registry, to, sample);
    check_whole(registry, layout, sample);
    for (const auto& name : files_below(directory.path() / "out")) {
      INFO(name);
      CHECK((name.starts_with("blobs/sha256/") || name == "index.json" || name == "oci-layout"));
    }
  }
  CHECK(succeeded > 0);
  CHECK(failed > 0);
}

TEST_CASE("an archive out of a failing registry is whole or not there",
          "[transfer][registry][fault]") {
  const auto sample = signed_sample();
  RegistryServer server;
  registry::RegistryOptions options = patient();
  options.patience.attempts = 1;
  registry::Registry registry(options);
  const auto from = in(server, "team/model:1");
  copy(*sample.place.open(sample.root), from, registry, {}, {});
  const auto* kind = GENERATE("oci-archive", "docker-archive");
  io::TempDirectory directory;
  const auto to =
      image::Location::parse(fmt::format("{}:{}", kind, (directory.path() / "out.tar").string()));
  int failures = 0;
  for (std::uint64_t n = 1;; ++n) {
    REQUIRE(n < 500);
    const auto before = server.faults();
    server.set_faults(aipack::test::fault_at(
        n, RegistryFault::of(Kind::truncate_reply),
        [](const aipack::test::RegistryRequest& request) { return request.method == "GET"; }));
    try {
      copy(from, to, registry, {.platforms = oci::Platform::parse_list("arm64")}, {});
      if (server.faults() == before) {
        break; // there were fewer requests than n
      }
      std::filesystem::remove(directory.path() / "out.tar"); // what was cut could be read again
    } catch (const Error&) {
      ++failures;
      REQUIRE(files_below(directory.path()).empty());
    }
  }
  CHECK(failures > 3);
}

TEST_CASE("what the source of a copy answers is not taken for the target's",
          "[transfer][registry]") {
  RegistryServer first;
  RegistryServer second;
  const auto sample = signed_sample();
  io::TempDirectory state;
  registry::Registry registry(patient(state.path()));
  copy(*sample.place.open(sample.root), in(first, "team/model:1"), registry, {}, {});
  const int status = GENERATE(404, 410, 503);
  INFO(status);
  first.set_faults([&](const aipack::test::RegistryRequest& request) {
    const bool is_blob =
        request.method == "GET" && request.target.find("/blobs/") != std::string::npos;
    return is_blob ? RegistryFault::respond(status) : RegistryFault{};
  });
  const auto origin = open_origin(in(first, "team/model:1"), registry, {});
  try {
    copy(*origin, in(second, "other/model:1"), registry, {}, {});
    FAIL("it was copied");
  } catch (const registry::RegistryError& error) {
    CHECK(error.answer().status == status);
    CHECK(error.answer().url.find(first.host()) != std::string::npos);
  }
  CHECK_FALSE(second.manifest("other/model", "1").has_value());
  // No other way was tried with a target that had refused none.
  const auto sessions = second.count("POST", "/blobs/uploads/");
  first.set_faults({});
  const auto copied = copy(*origin, in(second, "other/model:1"), registry, {}, {});
  CHECK(copied.notes.empty());
  CHECK(sessions <= second.count("POST", "/blobs/uploads/") - sessions);
  check_whole(registry, in(second, "other/model:1"), sample);
}
