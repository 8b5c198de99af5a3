#include "aipack/io/temp_file.hpp"

#include "memory.hpp"
#include "support/catch.hpp"
#include "support/temp.hpp"

#include <thread>

using namespace aipack;
using registry::Ability;
using registry::EndpointMemory;
using Names = std::vector<std::string>;

namespace {

constexpr const char* origin = "https://r.example:5000";

struct Fixture {
  io::TempDirectory directory{};
  std::filesystem::path file = EndpointMemory::file_in(directory.path(), origin);
  std::int64_t now = 1'790'000'000;

  [[nodiscard]] EndpointMemory open() {
    return EndpointMemory(file, origin, [this] { return now; });
  }
};

oci::Digest digest(int i) {
  return oci::Digest::of(std::to_string(i));
}

} // namespace

TEST_CASE_METHOD(Fixture, "what was learnt is there for the next process", "[registry][memory]") {
  const registry::UploadFacts facts{.single = Ability::fails,
                                    .stream = Ability::works,
                                    .ranges_lie = true,
                                    .chunk_bytes = 5'000'000};
  {
    EndpointMemory memory = open();
    CHECK_FALSE(memory.has_referrers_api());
    CHECK(memory.upload_facts() == registry::UploadFacts{});
    CHECK(memory.repositories_with(digest(1), "").empty());
    memory.set_has_referrers_api(false);
    memory.set_upload_facts(facts);
    memory.saw_blob(digest(1), "team/a");
    memory.saw_blob(digest(1), "team/b");
    memory.saw_blob(digest(2), "team/a");
    memory.missed_blob(digest(2), "team/a");
  }
  EndpointMemory memory = open();
  CHECK(memory.has_referrers_api() == false);
  CHECK(memory.upload_facts() == facts);
  CHECK(memory.repositories_with(digest(1), "") == Names{"team/b", "team/a"});
  CHECK(memory.repositories_with(digest(1), "team/b") == Names{"team/a"});
  CHECK(memory.repositories_with(digest(2), "").empty());
  CHECK((std::filesystem::status(file).permissions() & std::filesystem::perms::others_all) ==
        std::filesystem::perms::none);
}

TEST_CASE_METHOD(Fixture, "facts grow old", "[registry][memory]") {
  EndpointMemory memory = open();
  memory.set_has_referrers_api(true);
  memory.set_upload_facts({.single = Ability::fails});
  now += EndpointMemory::referrers_age - 1;
  CHECK(memory.has_referrers_api() == true);
  now += 1;
  CHECK_FALSE(memory.has_referrers_api());
  CHECK(memory.upload_facts().single == Ability::fails);
  now += EndpointMemory::upload_facts_age;
  CHECK(memory.upload_facts().single == Ability::unknown);
  now -= 2 * EndpointMemory::upload_facts_age; // a clock that was set back: of the future
  CHECK(memory.upload_facts().single == Ability::unknown);
}

TEST_CASE_METHOD(Fixture, "memories of several processes merge", "[registry][memory]") {
  {
    EndpointMemory first = open();
    EndpointMemory second = open();
    first.saw_blob(digest(1), "team/a");
    first.set_has_referrers_api(true);
    second.saw_blob(digest(2), "team/b");
    second.saw_blob(digest(1), "team/c");
    now += 1;
    second.set_has_referrers_api(false);
  }
  EndpointMemory memory = open();
  CHECK(memory.repositories_with(digest(1), "") == Names{"team/a", "team/c"});
  CHECK(memory.repositories_with(digest(2), "") == Names{"team/b"});
  CHECK(memory.has_referrers_api() == false);
}

TEST_CASE_METHOD(Fixture, "savers of several threads lose nothing", "[registry][memory]") {
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([this, i] {
        EndpointMemory memory(file, origin, [] { return 1'790'000'000; });
        memory.saw_blob(digest(i), "team/a");
      });
    }
  }
  EndpointMemory memory = open();
  for (int i = 0; i < 8; ++i) {
    CHECK(memory.repositories_with(digest(i), "") == Names{"team/a"});
  }
}

TEST_CASE_METHOD(Fixture, "a broken file is an empty memory, and is replaced",
                 "[registry][memory]") {
  const std::string head = R"({"version":1,"origin":"https://r.example:5000",)";
  const auto text = GENERATE_COPY(values<std::string>({
      "",
      "[]",
      "{}",
      "\x7f"
      "ELF",
      R"({"version":2,"origin":"https://r.example:5000"})",
      R"({"version":1,"origin":"https://other.example"})",
      head + R"("referrers_api":true})",
      head + R"("referrers_api":{"value":true,"learnt_at":-9223372036854775808}})",
      head + R"("referrers_api":{"value":1,"learnt_at":1}})",
      head + R"("upload":{"learnt_at":1,"single":"maybe","stream":"works","chunks":"works"}})",
      head + R"("blobs":[["sha256:1","a"]]})",
      head + R"("blobs":[[7,"a"]]})",
      head + R"("blobs":[[]]})",
      head + R"("blobs":{}})",
  }));
  CAPTURE(text);
  std::filesystem::create_directories(file.parent_path());
  testing::write_file(file, text);
  {
    EndpointMemory memory = open();
    CHECK_FALSE(memory.has_referrers_api());
    memory.saw_blob(digest(1), "team/a");
  }
  CHECK(open().repositories_with(digest(1), "") == Names{"team/a"});
}

TEST_CASE_METHOD(Fixture, "a memory does not grow without end", "[registry][memory]") {
  {
    EndpointMemory memory = open();
    for (int i = 0; i < static_cast<int>(EndpointMemory::max_blobs) + 5; ++i) {
      memory.saw_blob(digest(i), "team/a");
    }
    for (int i = 0; i < 9; ++i) {
      memory.saw_blob(digest(7000), "team/" + std::to_string(i));
    }
    memory.saw_blob(digest(7001), std::string(256, 'a')); // no repository has such a name
  }
  EndpointMemory memory = open();
  CHECK(memory.repositories_with(digest(5), "").empty());
  CHECK(memory.repositories_with(digest(6), "") == Names{"team/a"});
  CHECK(memory.repositories_with(digest(7000), "") == Names{"team/8", "team/7", "team/6"});
  CHECK(memory.repositories_with(digest(7001), "").empty());
}

TEST_CASE("without a place nothing is kept, and nothing fails", "[registry][memory]") {
  EndpointMemory memory({}, origin);
  memory.saw_blob(digest(1), "team/a");
  memory.save();
  CHECK(memory.repositories_with(digest(1), "") == Names{"team/a"});

  EndpointMemory nowhere("/proc/no/such/place.json", origin);
  nowhere.saw_blob(digest(1), "team/a");
  nowhere.save();
}

TEST_CASE("endpoints have files of their own", "[registry][memory]") {
  CHECK(EndpointMemory::file_in("/s", "https://r.example:5000").string() ==
        "/s/endpoints/https___r.example_5000.json");
  CHECK(EndpointMemory::file_in("/s", "http://[::1]").string() == "/s/endpoints/http______1_.json");
}
