#include "aipack/archive/tar_reader.hpp"
#include "aipack/archive/tar_writer.hpp"

#include "support/catch.hpp"
#include "support/generate.hpp"

using namespace aipack;
using fs::FileType;

namespace {

std::string written(const fs::FileTree& tree) {
  io::MemorySink sink;
  archive::TarWriter writer(sink);
  for (const auto& [path, entry] : tree.entries()) {
    writer.add(path, entry, {});
  }
  writer.finish();
  return std::string(io::as_text(sink.bytes()));
}

} // namespace

TEST_CASE("what TarWriter writes, TarReader reads back", "[archive][property]") {
  AIPACK_TEST_RANDOM(random);
  for (int round = 0; round < 40; ++round) {
    const auto tree = testing::random_tree(random, 50);
    const auto bytes = written(tree);
    CHECK(written(tree) == bytes);
    archive::TarReader reader(std::make_unique<testing::ChoppedSource>(bytes, random, 100'000),
                              "a.tar");
    for (const auto& [path, entry] : tree.entries()) {
      const auto member = reader.next();
      REQUIRE(member);
      CAPTURE(path.text());
      CHECK(member->path == path);
      CHECK(member->type == entry.type);
      const bool is_link = entry.type == FileType::symlink || entry.type == FileType::hard_link;
      CHECK(member->mode == (is_link ? 0777 : entry.mode));
      CHECK(member->setuid_or_setgid == (!is_link && (entry.mode & 06000) != 0));
      CHECK(member->uid == entry.uid);
      CHECK(member->gid == entry.gid);
      CHECK(member->mtime == entry.mtime);
      CHECK(member->link_target == entry.link_target);
      CHECK(member->size == entry.size());
      CHECK(member->user_name.empty());
      if (entry.content) {
        const auto source = entry.content->open();
        const auto expected = io::read_text(*source, 1 << 20, "content");
        CHECK(bytes.substr(member->data_offset, member->size) == expected);
        if (random.one_in(2)) { // the rest is skipped
          CHECK(io::read_text(reader.content(), 1 << 20, "content") == expected);
        }
      }
    }
    CHECK_FALSE(reader.next());
    CHECK_FALSE(reader.next());
  }
}

TEST_CASE("an aligned member reads back like any other", "[archive][property]") {
  AIPACK_TEST_RANDOM(random);
  for (int round = 0; round < 50; ++round) {
    const auto path = testing::random_path(random);
    const auto content =
        testing::random_bytes(random, static_cast<std::size_t>(random.below(2000)));
    const fs::FileEntry entry{.content = fs::memory_content(content)};
    auto bytes = archive::tar_header(path, entry, 0) + content;
    bytes.append(archive::tar_padding(content.size()) + archive::tar_trailer_bytes, '\0');
    archive::TarReader reader(std::make_unique<io::MemorySource>(io::as_bytes(bytes)), "a.tar");
    const auto member = reader.next();
    REQUIRE(member);
    CHECK(member->path == path);
    CHECK(member->data_offset % 4096 == 0);
    CHECK(io::read_text(reader.content(), 1 << 20, "content") == content);
    CHECK_FALSE(reader.next());
  }
}
