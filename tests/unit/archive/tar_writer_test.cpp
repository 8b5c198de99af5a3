#include "aipack/archive/tar_writer.hpp"
#include "aipack/core/error.hpp"

#include "pax.hpp"
#include "support/catch.hpp"
#include "support/generate.hpp"
#include "support/tar_bytes.hpp"

using namespace aipack;
using archive::tar_header;
using fs::FileEntry;
using fs::FileType;
using fs::RootPath;

namespace {

RootPath p(std::string_view text) {
  return RootPath::parse(text);
}

/// A path of exactly `size` bytes in parts of `part` bytes (the last may have one more).
std::string long_path(std::size_t size, std::size_t part) {
  std::string path;
  while (path.size() < size) {
    if (!path.empty() && path.size() + 1 < size) {
      path += '/';
    }
    path += std::string(std::min(part, size - path.size()), 'p');
  }
  return path;
}

/// Content that only claims a size.
struct Claimed final : fs::Content {
  Claimed(std::uint64_t size, std::string bytes) : size_(size), bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t) const override {
    return std::make_unique<io::MemorySource>(io::as_bytes(bytes_));
  }
  std::uint64_t size_;
  std::string bytes_;
};

FileEntry regular(std::uint64_t size) {
  return {.content = std::make_shared<Claimed>(size, "")};
}

/// The PAX records at the front of a header; empty without any.
std::string records_of(const std::string& header) {
  if (header[156] != 'x') {
    REQUIRE(header.size() == 512);
    return {};
  }
  const auto size = static_cast<std::size_t>(std::stoull(header.substr(124, 11), nullptr, 8));
  REQUIRE(header.size() == 1024 + (size + 511) / 512 * 512);
  return header.substr(512, size);
}

} // namespace

TEST_CASE("a plain member is one ustar block, byte for byte", "[archive][tar_writer]") {
  FileEntry entry = regular(1234);
  entry.mode = 0100755; // the type bits do not belong there
  entry.uid = 65532;
  entry.gid = 7;
  entry.mtime = 1'700'000'000;
  testing::RawMember expected{.name = "usr/bin/serve",
                              .mode = "0000755",
                              .uid = "0177774",
                              .gid = "0000007",
                              .mtime = "14524770400",
                              .size = "00000002322"};
  auto block = testing::raw_header(expected);
  block.replace(329, 7, "0000000");
  block.replace(337, 7, "0000000");
  CHECK(tar_header(p("usr/bin/serve"), entry) == testing::with_checksum(block));
}

TEST_CASE("directories end in a slash and links have mode 0777 and no size",
          "[archive][tar_writer]") {
  const auto directory = tar_header(p("usr/lib"), {.type = FileType::directory, .mode = 02755});
  CHECK(directory.substr(0, 9) == std::string("usr/lib/\0", 9));
  CHECK(directory[156] == '5');
  CHECK(directory.substr(100, 7) == "0002755");
  CHECK(tar_header(RootPath(), {.type = FileType::directory}).substr(0, 3) ==
        std::string("./\0", 3));
  for (const auto& [type, flag] : {std::pair{FileType::symlink, '2'}, {FileType::hard_link, '1'}}) {
    const auto link = tar_header(
        p("b"),
        {.type = type, .mode = 0600, .link_target = "a", .content = fs::memory_content("x")});
    CHECK(link.size() == 512);
    CHECK(link[156] == flag);
    CHECK(link.substr(100, 7) == "0000777");
    CHECK(link.substr(124, 11) == "00000000000");
    CHECK(link.substr(157, 2) == std::string("a\0", 2));
  }
}

TEST_CASE("PAX records appear only for what ustar cannot hold", "[archive][tar_writer]") {
  FileEntry entry = regular(0);
  const auto with = [&](auto change) {
    FileEntry changed = entry;
    change(changed);
    return records_of(tar_header(p("f"), changed));
  };
  CHECK(with([](FileEntry&) {}).empty());
  CHECK(with([](FileEntry& e) { e.uid = 2097151; }).empty());
  CHECK(with([](FileEntry& e) { e.uid = 2097152; }) == "15 uid=2097152\n");
  CHECK(with([](FileEntry& e) { e.gid = UINT32_MAX; }) == "18 gid=4294967295\n");
  CHECK(with([](FileEntry& e) { e.mtime = 8589934591; }).empty());
  CHECK(with([](FileEntry& e) { e.mtime = 8589934592; }) == "20 mtime=8589934592\n");
  CHECK(with([](FileEntry& e) { e.mtime = -1; }) == "12 mtime=-1\n");
  CHECK(with([](FileEntry& e) { e.content = regular(8589934591).content; }).empty());
  CHECK(with([](FileEntry& e) { e.content = regular(8589934592).content; }) ==
        "19 size=8589934592\n");
  const auto link = [&](std::size_t size) {
    return records_of(
        tar_header(p("f"), {.type = FileType::symlink, .link_target = std::string(size, 'l')}));
  };
  CHECK(link(100).empty());
  CHECK(link(101) == "115 linkpath=" + std::string(101, 'l') + "\n");
}

TEST_CASE("records are sorted by key", "[archive][tar_writer]") {
  FileEntry entry = regular(std::uint64_t{1} << 40);
  entry.uid = entry.gid = UINT32_MAX;
  entry.mtime = -5;
  std::vector<std::string> keys;
  const auto records = records_of(tar_header(p(long_path(300, 200)), entry, 0));
  for (std::size_t at = 0; at < records.size();) {
    const auto space = records.find(' ', at);
    keys.push_back(records.substr(space + 1, records.find('=', space) - space - 1));
    at += static_cast<std::size_t>(std::stoull(records.substr(at)));
  }
  CHECK(keys == std::vector<std::string>{"comment", "gid", "mtime", "path", "size", "uid"});
}

TEST_CASE("a path uses ustar's prefix where it splits, and a record where it does not",
          "[archive][tar_writer]") {
  // Every length, in parts that split well (20) and parts that do not (250).
  for (std::size_t size = 1; size <= 400; ++size) {
    for (const std::size_t part : {std::size_t{20}, std::size_t{120}, std::size_t{250}}) {
      for (const auto type : {FileType::regular, FileType::directory}) {
        const auto path = p(long_path(size, part));
        const std::string name = path.text() + (type == FileType::directory ? "/" : "");
        const auto header = tar_header(path, {.type = type});
        const auto records = records_of(header);
        CAPTURE(name);
        const std::string block = header.substr(header.size() - 512);
        const std::string stored_name = block.substr(0, 100).c_str();
        const std::string prefix = block.substr(345, 155).c_str();
        bool splits = name.size() <= 100;
        for (std::size_t i = 1; !splits && i + 1 < name.size(); ++i) {
          splits = name[i] == '/' && i <= 155 && name.size() - i - 1 <= 100;
        }
        CHECK(records.empty() == splits);
        if (splits) {
          CHECK((prefix.empty() ? stored_name : prefix + "/" + stored_name) == name);
          CHECK_FALSE(stored_name.empty());
        } else {
          CHECK(records == testing::pax_line("path", name));
          CHECK(header.substr(0, 11) == "PaxHeaders/");
        }
      }
    }
  }
}

TEST_CASE("every aligned payload starts at a multiple of 4096, whatever comes before it",
          "[archive][tar_writer]") {
  AIPACK_TEST_RANDOM(random);
  std::vector<std::size_t> lengths;
  for (std::size_t size = 1; size <= 300; size += 7) {
    lengths.push_back(size);
  }
  // Around every place where the path record fills a block or leaves too little for a filler.
  for (std::size_t block = 1; block <= 7; ++block) {
    for (std::size_t below = 0; below <= 40; ++below) {
      lengths.push_back(512 * block - below);
    }
  }
  for (const std::size_t size : lengths) {
    const auto path = p(long_path(size, size % 3 == 0 ? 90 : 250));
    for (std::uint64_t offset = 0; offset < 4096; offset += 512) {
      FileEntry entry = regular(random.one_in(2) ? 10 : std::uint64_t{1} << 40);
      entry.uid = random.one_in(2) ? 0 : UINT32_MAX;
      const std::uint64_t at = offset + 4096 * random.below(1000);
      const auto header = tar_header(path, entry, at);
      CAPTURE(size, at);
      REQUIRE((at + header.size()) % archive::payload_alignment == 0);
      REQUIRE(header.size() % 512 == 0);
      const auto plain = tar_header(path, entry);
      REQUIRE(header.size() <= plain.size() + 512 + 4096 + 512);
      REQUIRE(header.substr(header.size() - 512) == plain.substr(plain.size() - 512));
      // The records must still be exact, and say the same.
      const auto records = records_of(header);
      const auto values = archive::parse_pax(records, "a", 0);
      const auto expected = archive::parse_pax(records_of(plain), "a", 0);
      REQUIRE(values.path == expected.path);
      REQUIRE(values.size == expected.size);
      REQUIRE(values.uid == expected.uid);
    }
  }
}

TEST_CASE("a payload that is aligned already gets no filler", "[archive][tar_writer]") {
  CHECK(tar_header(p("f"), regular(1), 3584).size() == 512);
  CHECK(tar_header(p("f"), regular(1), 0).size() == 4096);
}

TEST_CASE("what cannot be archived is refused by name", "[archive][tar_writer]") {
  const auto code = [](const RootPath& path, const FileEntry& entry) {
    try {
      (void)tar_header(path, entry);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;
  };
  CHECK(code(p("a/.wh.b"), regular(0)) == ErrorCode::invalid_input);
  CHECK(code(p(".wh..wh..opq"), regular(0)) == ErrorCode::invalid_input);
  CHECK(code(p("a"), {.type = FileType::symlink}) == ErrorCode::invalid_input);
  CHECK(code(p("a"), {.type = FileType::symlink, .link_target = std::string("a\0b", 3)}) ==
        ErrorCode::invalid_input);
  CHECK(code(RootPath(), regular(0)) == ErrorCode::invalid_input);
  CHECK_NOTHROW(tar_header(p(".wh"), regular(0)));
  CHECK_NOTHROW(tar_header(p(".wh.dir/b"), regular(0))); // only the base name is a whiteout
}

TEST_CASE("TarWriter pads content and ends with two zero blocks", "[archive][tar_writer]") {
  io::MemorySink sink;
  archive::TarWriter writer(sink);
  writer.add(p("a"), {.content = fs::memory_content("hello")}, {});
  CHECK(writer.offset() == 1024);
  writer.add(p("b"), {.content = fs::memory_content(std::string(512, 'b'))}, {});
  CHECK(writer.offset() == 2048);
  writer.add(p("c"), {}, {});
  writer.finish();
  CHECK(writer.offset() == 2560 + 1024);
  const std::string bytes(io::as_text(sink.bytes()));
  CHECK(bytes.size() == writer.offset());
  CHECK(bytes.substr(512, 512) == testing::padded("hello"));
  CHECK(bytes.substr(2560) == std::string(1024, '\0'));
}

TEST_CASE("content that does not keep to its size is an error", "[archive][tar_writer]") {
  const auto bytes = GENERATE(as<std::string>(), "", "four", "sixsix");
  io::MemorySink sink;
  archive::TarWriter writer(sink);
  try {
    writer.add(p("f"), {.content = std::make_shared<Claimed>(5, bytes)}, {});
    FAIL("it was written");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
  }
  CHECK(sink.bytes().size() <= 512 + 5);
}

TEST_CASE("TarWriter stops when the caller asks", "[archive][tar_writer]") {
  std::stop_source stop;
  stop.request_stop();
  const Operation op{.stop = stop.get_token()};
  io::NullSink sink;
  archive::TarWriter writer(sink);
  CHECK_THROWS_AS(writer.add(p("f"), {}, op), Error);
  CHECK(sink.count() == 0);
}
