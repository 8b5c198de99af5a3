#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/generate.hpp"
#include "support/temp.hpp"
#include "upload_journal.hpp"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>

using namespace aipack;
using namespace aipack::registry;
using testing::names_in;
using testing::write_file;

namespace {

UploadKey key(std::string repository = "team/model") {
  return {.origin = "https://r.example",
          .repository = std::move(repository),
          .content = "sha256:" + std::string(64, 'a'),
          .size_bytes = 1000};
}

UploadRecord record(std::uint64_t confirmed = 300) {
  return {.key = key(),
          .location = "https://r.example/v2/team/model/blobs/uploads/7?_state=secret%3D",
          .way = Way::chunks,
          .chunk_bytes = 100,
          .min_chunk_bytes = 50,
          .confirmed_bytes = confirmed,
          .piece_end = 400,
          .doubtful = true};
}

std::filesystem::path only_file_in(const std::filesystem::path& directory) {
  const auto names = names_in(directory);
  REQUIRE(names.size() == 1);
  return directory / *names.begin();
}

} // namespace

TEST_CASE("what an upload journal holds is found again by the next process",
          "[registry][journal]") {
  const io::TempDirectory directory;
  {
    auto journal = UploadJournal::open(directory.path(), key());
    REQUIRE(journal.has_value());
    CHECK_FALSE(journal->found().has_value());
    journal->write(record(0));
    journal->write(record(100));
    journal->write(record(300));
    journal->set_mark(377);
  }
  const auto again = UploadJournal::open(directory.path(), key());
  REQUIRE(again.has_value());
  CHECK(again->found() == record(300));
  CHECK(again->found_mark() == 377);
}

TEST_CASE("an upload journal is nobody else's to read", "[registry][journal]") {
  const io::TempDirectory directory;
  auto journal = UploadJournal::open(directory.path(), key());
  REQUIRE(journal.has_value());
  journal->write(record());
  struct stat info {};
  REQUIRE(::stat(only_file_in(directory.path()).c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
}

TEST_CASE("two uploads of the same content do not share a journal", "[registry][journal]") {
  const io::TempDirectory directory;
  auto first = UploadJournal::open(directory.path(), key());
  REQUIRE(first.has_value());
  first->write(record());
  CHECK_FALSE(UploadJournal::open(directory.path(), key()).has_value());
  CHECK(UploadJournal::open(directory.path(), key("team/other")).has_value());
  first.reset();
  CHECK(UploadJournal::open(directory.path(), key())->found() == record());
}

TEST_CASE("a removed journal is gone, also for one who waited for it", "[registry][journal]") {
  const io::TempDirectory directory;
  auto journal = UploadJournal::open(directory.path(), key());
  journal->write(record());
  journal->remove();
  journal.reset();
  CHECK(names_in(directory.path()).empty());
  const auto next = UploadJournal::open(directory.path(), key());
  CHECK_FALSE(next->found().has_value());
}

TEST_CASE("forget takes away what nobody works on", "[registry][journal]") {
  const io::TempDirectory directory;
  auto journal = UploadJournal::open(directory.path(), key());
  journal->write(record());
  UploadJournal::forget(directory.path(), key());
  CHECK(names_in(directory.path()).size() == 1);
  journal.reset();
  UploadJournal::forget(directory.path(), key());
  CHECK(names_in(directory.path()).empty());
  UploadJournal::forget(directory.path(), key());
  UploadJournal::forget({}, key());
  CHECK(names_in(directory.path()).empty());
}

TEST_CASE("without a place for journals there is none", "[registry][journal]") {
  CHECK_FALSE(UploadJournal::open({}, key()).has_value());
  const io::TempDirectory directory;
  write_file(directory.path() / "file", "x");
  CHECK_FALSE(UploadJournal::open(directory.path() / "file", key()).has_value());
}

TEST_CASE("journals of last week are cleared away, those in use are not", "[registry][journal]") {
  const io::TempDirectory directory;
  const auto make_old = [](const std::filesystem::path& file) {
    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() -
                                               keep_unfinished - std::chrono::hours(1));
  };
  std::filesystem::path stale;
  {
    auto left = UploadJournal::open(directory.path(), key("left"));
    left->write(record());
    stale = only_file_in(directory.path());
  }
  auto used = UploadJournal::open(directory.path(), key("used"));
  for (const auto& name : names_in(directory.path())) {
    make_old(directory.path() / name);
  }
  const auto fresh = UploadJournal::open(directory.path(), key("fresh"));
  CHECK_FALSE(std::filesystem::exists(stale));
  CHECK(names_in(directory.path()) ==
        std::set<std::string>{key("used").file_name(), key("fresh").file_name()});
}

TEST_CASE("another upload's record under this name is not taken", "[registry][journal]") {
  const io::TempDirectory directory;
  {
    auto journal = UploadJournal::open(directory.path(), key());
    auto other = record();
    other.key.size_bytes = 999;
    journal->write(other);
  }
  CHECK_FALSE(UploadJournal::open(directory.path(), key())->found().has_value());
}

TEST_CASE("the name of a journal depends on all that its key says", "[registry][journal]") {
  const std::string name = key().file_name();
  auto other = key();
  other.origin = "https://r.example:444";
  CHECK(other.file_name() != name);
  other = key();
  other.content += "b";
  CHECK(other.file_name() != name);
  other = key();
  other.size_bytes += 1;
  CHECK(other.file_name() != name);
  CHECK(key("team/mode").file_name() != name);
  CHECK(key().file_name() == name);
}

TEST_CASE("a torn or damaged slot leaves the other one", "[registry][journal]") {
  std::string file(2 * UploadJournal::slot_bytes + 20, '\0');
  const std::string older = format_upload_slot(record(100), 4);
  const std::string newer = format_upload_slot(record(200), 5);
  file.replace(0, older.size(), older);
  file.replace(UploadJournal::slot_bytes, newer.size(), newer);
  file.replace(2 * UploadJournal::slot_bytes, 20, "00000000000000000250");
  REQUIRE(parse_upload_journal(file).record == record(200));
  CHECK(parse_upload_journal(file).sequence == 5);
  CHECK(parse_upload_journal(file).mark == 250);

  AIPACK_TEST_RANDOM(random);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = file;
    const std::size_t at = UploadJournal::slot_bytes + random.below(newer.size());
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8)));
    CHECK(parse_upload_journal(damaged).record == record(100));
    // Torn in the middle of writing: the rest is what was there two records ago.
    std::string torn = file;
    const std::string next = format_upload_slot(record(300), 6);
    torn.replace(0, random.below(next.size()), next, 0, std::string::npos);
    torn.resize(file.size());
    const auto parsed = parse_upload_journal(torn).record;
    CHECK((parsed == record(200) || parsed == record(300)));
  }
}

TEST_CASE("a journal that is cut off anywhere is a journal or nothing", "[registry][journal]") {
  const std::string slot = format_upload_slot(record(), 1);
  for (std::size_t length = 0; length <= slot.size(); ++length) {
    const auto parsed = parse_upload_journal(std::string_view(slot).substr(0, length));
    CHECK(parsed.record.has_value() == (length == slot.size()));
    CHECK(parsed.mark == 0);
  }
}

TEST_CASE("a record that contradicts itself is not taken, whoever signed it",
          "[registry][journal]") {
  const auto taken = [](const UploadRecord& bad) {
    return parse_upload_journal(format_upload_slot(bad, 1)).record.has_value();
  };
  REQUIRE(taken(record()));
  auto bad = record();
  bad.confirmed_bytes = 401; // more than was ever sent
  CHECK_FALSE(taken(bad));
  bad = record();
  bad.piece_end = 1001; // more than there is
  CHECK_FALSE(taken(bad));
  bad = record();
  bad.chunk_bytes = 0;
  CHECK_FALSE(taken(bad));
  bad = record();
  bad.min_chunk_bytes = 101;
  CHECK_FALSE(taken(bad));
  for (const char* location : {"", "/a b", "/a\r\nHost: x", "/a\x7f"}) {
    bad = record();
    bad.location = location;
    CHECK_FALSE(taken(bad));
  }
}

TEST_CASE("a location that is too long makes an upload that cannot be taken up",
          "[registry][journal]") {
  const io::TempDirectory directory;
  {
    auto journal = UploadJournal::open(directory.path(), key());
    journal->write(record(0));
    auto longer = record(100);
    longer.location += std::string(max_location_bytes, 'x');
    journal->write(longer);
  }
  CHECK_FALSE(UploadJournal::open(directory.path(), key())->found().has_value());
}

TEST_CASE("recipe_key names files by identity and literals by digest", "[registry][journal]") {
  const io::FileIdentity identity{
      .device = 1, .inode = 2, .size_bytes = 100, .mtime_ns = 4, .ctime_ns = 5};
  const auto make = [](std::string header, io::FileIdentity of, std::uint64_t length) {
    blob::Recipe recipe;
    recipe.add(std::move(header));
    recipe.add(fs::FileExtent("weights.bin", 0, length, of));
    return recipe_key(recipe);
  };
  const std::string key = make("header", identity, 100);
  CHECK(make("header", identity, 100) == key);
  CHECK(make("headex", identity, 100) != key);
  CHECK(make("header", identity, 99) != key);
  auto changed = identity;
  changed.ctime_ns += 1;
  CHECK(make("header", changed, 100) != key);
}
