#include "aipack/archive/tar_reader.hpp"
#include "aipack/core/error.hpp"

#include "support/catch.hpp"
#include "support/tar_bytes.hpp"

using namespace aipack;
using archive::TarLimits;
using archive::TarMember;
using fs::FileType;
using testing::pax_line;
using testing::raw_member;
using testing::RawMember;
using testing::tar_end;
using namespace std::string_literals;

namespace {

const std::string gnu_magic("ustar  \0", 8);
const std::string v7_magic(8, '\0');

std::vector<TarMember> read(const std::string& bytes, TarLimits limits = {}) {
  archive::TarReader reader(std::make_unique<io::MemorySource>(io::as_bytes(bytes)), "a.tar",
                            limits);
  std::vector<TarMember> members;
  while (auto member = reader.next()) {
    io::NullSink sink;
    const auto copied = io::copy(reader.content(), sink, {}); // outside CHECK, which would catch
    CHECK(copied == member->size);
    members.push_back(std::move(*member));
  }
  return members;
}

/// The error of an archive that must be refused.
FormatError refusal(const std::string& bytes, TarLimits limits = {}) {
  try {
    read(bytes, limits);
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.file() == "a.tar");
    return error;
  }
  FAIL("the archive was accepted");
  throw std::logic_error("unreachable");
}

std::string pax(const std::string& records, char type = 'x') {
  return raw_member({.name = "PaxHeaders/x", .type = type, .content = records});
}
std::string gnu_long(char type, const std::string& name) {
  return raw_member(
      {.name = "././@LongLink", .type = type, .content = name + '\0', .magic = gnu_magic});
}

} // namespace

TEST_CASE("TarReader reads a data.tar as dpkg-deb writes it", "[archive][tar_reader]") {
  const auto bytes =
      raw_member({.name = "./",
                  .type = '5',
                  .magic = gnu_magic,
                  .mode = "0000755",
                  .user_name = "root",
                  .group_name = "root"}) +
      raw_member({.name = "./usr/", .type = '5', .magic = gnu_magic}) +
      raw_member({.name = "./usr/f",
                  .content = "hello",
                  .magic = gnu_magic,
                  .mode = "0104755",
                  .mtime = "14524770400"}) +
      raw_member({.name = "./usr/s", .type = '2', .link_name = "../etc/x", .magic = gnu_magic}) +
      raw_member({.name = "./usr/h", .type = '1', .link_name = "./usr/f", .magic = gnu_magic}) +
      std::string(10240, '\0');
  const auto members = read(bytes);
  REQUIRE(members.size() == 5);
  CHECK(members[0].path.is_root());
  CHECK(members[0].type == FileType::directory);
  CHECK(members[0].user_name == "root");
  CHECK(members[0].group_name == "root");
  CHECK(members[2].path.text() == "usr/f");
  CHECK(members[2].mode == 04755);
  CHECK(members[2].setuid_or_setgid);
  CHECK(members[2].mtime == 1'700'000'000);
  CHECK(members[2].size == 5);
  CHECK(bytes.substr(members[2].data_offset, 5) == "hello");
  CHECK(members[3].type == FileType::symlink);
  CHECK(members[3].link_target == "../etc/x");
  CHECK(members[4].type == FileType::hard_link);
  CHECK(members[4].link_target == "usr/f");
}

TEST_CASE("long names come from the prefix, GNU's members or PAX records",
          "[archive][tar_reader]") {
  const std::string name = std::string(120, 'n') + "/" + std::string(90, 'm');
  const std::string target = std::string(150, 't');
  const auto bytes = GENERATE_COPY(values<std::string>({
      gnu_long('K', target) + gnu_long('L', name) +
          raw_member(
              {.name = name.substr(0, 100), .type = '2', .link_name = "short", .magic = gnu_magic}),
      pax(pax_line("path", name) + pax_line("linkpath", target)) +
          raw_member({.name = "short", .type = '2', .link_name = "short"}),
      pax(pax_line("linkpath", target)) +
          raw_member({.name = std::string(90, 'm'), .type = '2', .prefix = std::string(120, 'n')}),
  }));
  const auto members = read(bytes + tar_end());
  REQUIRE(members.size() == 1);
  CHECK(members[0].path.text() == name);
  CHECK(members[0].link_target == target);
}

TEST_CASE("the prefix field belongs to POSIX headers only", "[archive][tar_reader]") {
  CHECK(read(raw_member({.name = "f", .prefix = "12345", .magic = gnu_magic}) + tar_end())[0]
            .path.text() == "f");
}

TEST_CASE("PAX records replace what the header says, for one member", "[archive][tar_reader]") {
  const auto bytes =
      pax(pax_line("uid", "3000000") + pax_line("gid", "4294967295") + pax_line("mtime", "-2.5") +
          pax_line("size", "3") + pax_line("uname", "me") + pax_line("comment", "...")) +
      raw_member({.name = "f", .content = "abc", .size = "00000000000"}) +
      raw_member({.name = "g"}) + tar_end();
  const auto members = read(bytes);
  REQUIRE(members.size() == 2);
  CHECK(members[0].uid == 3'000'000);
  CHECK(members[0].gid == UINT32_MAX);
  CHECK(members[0].mtime == -3);
  CHECK(members[0].size == 3);
  CHECK(members[0].user_name == "me");
  CHECK(members[1].uid == 0);
  CHECK(members[1].mtime == 1);
  CHECK(members[1].user_name.empty());
}

TEST_CASE("a global PAX header holds until the next one and may only describe",
          "[archive][tar_reader]") {
  const auto bytes = pax(pax_line("mtime", "7"), 'g') + raw_member({.name = "f"}) +
                     pax(pax_line("mtime", "9")) + raw_member({.name = "g"}) +
                     raw_member({.name = "h"}) + pax(pax_line("comment", "x"), 'g') +
                     raw_member({.name = "i"}) + tar_end();
  const auto members = read(bytes);
  REQUIRE(members.size() == 4);
  CHECK(members[0].mtime == 7);
  CHECK(members[1].mtime == 9);
  CHECK(members[2].mtime == 7);
  CHECK(members[3].mtime == 1);
  for (const auto* key : {"path", "linkpath"}) {
    refusal(pax(pax_line(key, "x"), 'g') + raw_member({.name = "f"}) + tar_end());
  }
  refusal(pax(pax_line("size", "0"), 'g') + raw_member({.name = "f"}) + tar_end());
}

TEST_CASE("numbers may be padded octal or base-256", "[archive][tar_reader]") {
  const auto members = read(
      raw_member({.name = "a",
                  .uid = "    12 ",
                  .mtime = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"}) +
      raw_member({.name = "b", .uid = "\x80\0\0\0\xff\xff\xff\xff"s, .mtime = "777777777777"}) +
      raw_member({.name = "c", .uid = "\0\0"s, .size = "\x80\0\0\0\0\0\0\0\0\0\0\0"s}) + tar_end());
  CHECK(members[0].uid == 10);
  CHECK(members[0].mtime == -2);
  CHECK(members[1].uid == UINT32_MAX);
  CHECK(members[1].mtime == 68719476735);
  CHECK(members[2].uid == 0);
}

TEST_CASE("v7 archives name directories by a slash", "[archive][tar_reader]") {
  const auto members = read(
      raw_member({.name = "d/", .type = '\0', .magic = v7_magic, .user_name = "garbage"}) +
      raw_member({.name = "d/f", .type = '\0', .content = "x", .magic = v7_magic}) + tar_end());
  REQUIRE(members.size() == 2);
  CHECK(members[0].type == FileType::directory);
  CHECK(members[0].user_name.empty());
  CHECK(members[1].type == FileType::regular);
}

TEST_CASE("TarReader refuses names that leave the root", "[archive][tar_reader]") {
  const auto name = GENERATE(as<std::string>(), "/etc/passwd", "../x", "a/../../x", "./../x", "..",
                             "a//b", ".//x", "//x", "./", ".", "a/");
  CAPTURE(name);
  CHECK(refusal(raw_member({.name = name}) + tar_end()).offset() == 0U);
  CHECK(refusal(pax(pax_line("path", name)) + raw_member({.name = "f"}) + tar_end()).offset() ==
        1024U);
  CHECK(refusal(gnu_long('L', name) + raw_member({.name = "f", .magic = gnu_magic}) + tar_end())
            .offset() == 1024U);
}

TEST_CASE("TarReader refuses NUL bytes in long names, and empty names", "[archive][tar_reader]") {
  refusal(pax(pax_line("path", "a\0b"s)) + raw_member({.name = "f"}) + tar_end());
  refusal(gnu_long('L', "a\0b"s) + raw_member({.name = "f"}) + tar_end());
  refusal(gnu_long('L', ""s) + raw_member({.name = "f"}) + tar_end());
  refusal(raw_member({.name = ""}) + tar_end());
}

TEST_CASE("TarReader refuses what an image must not hold", "[archive][tar_reader]") {
  const char type = GENERATE('3', '4', '6', 'S', 'M', 'V', 'D', 'Z');
  CAPTURE(type);
  refusal(raw_member({.name = "f", .type = type}) + tar_end());
}

TEST_CASE("sparse members are refused in PAX form too", "[archive][tar_reader]") {
  refusal(pax(pax_line("GNU.sparse.major", "1")) + raw_member({.name = "f"}) + tar_end());
}

TEST_CASE("TarReader refuses a path that is there twice", "[archive][tar_reader]") {
  const auto first = raw_member({.name = "a"});
  CHECK(refusal(first + raw_member({.name = "./a"}) + tar_end()).offset() == 512U);
  refusal(raw_member({.name = "d/", .type = '5'}) + raw_member({.name = "d", .type = '5'}) +
          tar_end());
  refusal(raw_member({.name = "./", .type = '5'}) + raw_member({.name = ".", .type = '5'}) +
          tar_end());
}

TEST_CASE("TarReader refuses members behind a link or a file, in either order",
          "[archive][tar_reader]") {
  const auto link = raw_member({.name = "d", .type = '2', .link_name = "/etc"});
  const auto deep_link = raw_member({.name = "x/d", .type = '2', .link_name = "/etc"});
  refusal(link + raw_member({.name = "d/passwd"}) + tar_end());
  refusal(link + raw_member({.name = "d/a/b/c"}) + tar_end());
  refusal(raw_member({.name = "x/", .type = '5'}) + deep_link + raw_member({.name = "x/d/p"}) +
          tar_end());
  refusal(raw_member({.name = "d/passwd"}) + link + tar_end());
  refusal(raw_member({.name = "d"}) + raw_member({.name = "d/f"}) + tar_end());
  refusal(raw_member({.name = "d"}) + raw_member({.name = "h", .type = '1', .link_name = "d"}) +
          raw_member({.name = "h/f"}) + tar_end());
}

TEST_CASE("hard links point to a file that came before", "[archive][tar_reader]") {
  const auto file = raw_member({.name = "a"});
  const auto directory = raw_member({.name = "d/", .type = '5'});
  const auto link = [](const std::string& target) {
    return raw_member({.name = "h", .type = '1', .link_name = target}) + tar_end();
  };
  CHECK(read(file + link("a")).back().link_target == "a");
  refusal(link("a"));
  refusal(link("h"));
  refusal(directory + link("d"));
  refusal(file + link("/a"));
  refusal(file + link("../a"));
  refusal(file + link(""));
  refusal(raw_member({.name = "s", .type = '2', .link_name = "/etc"}) + link("s/passwd"));
}

TEST_CASE("only regular files have content", "[archive][tar_reader]") {
  const char type = GENERATE('1', '2', '5');
  refusal(raw_member({.name = "a"}) +
          raw_member({.name = "f", .type = type, .content = "x", .link_name = "a"}) + tar_end());
}

TEST_CASE("a symlink has a target", "[archive][tar_reader]") {
  refusal(raw_member({.name = "s", .type = '2'}) + tar_end());
}

TEST_CASE("every bit of a header is covered by its checksum", "[archive][tar_reader]") {
  const auto bytes = raw_member({.name = "abc", .content = "x"}) + tar_end();
  for (std::size_t i = 0; i < 512; ++i) {
    auto broken = bytes;
    broken[i] = static_cast<char>(broken[i] ^ 0x40);
    CAPTURE(i);
    refusal(broken);
  }
}

TEST_CASE("malformed numbers are refused", "[archive][tar_reader]") {
  refusal(raw_member({.name = "f", .mode = "00x0644"}) + tar_end());
  refusal(raw_member({.name = "f", .uid = "0000008"}) + tar_end());
  refusal(raw_member({.name = "f", .uid = "\xff\xff\xff\xff\xff\xff\xff\xff"}) + tar_end());
  refusal(raw_member({.name = "f", .uid = "\x80\0\0\x01\0\0\0\0"s}) + tar_end());
  refusal(raw_member({.name = "f", .size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}) +
          tar_end());
  refusal(raw_member({.name = "f", .size = "\x80\0\0\x01\0\0\0\0\0\0\0\0"s}) + tar_end());
  refusal(raw_member({.name = "f", .mtime = "12 34"}) + tar_end());
  refusal(pax(pax_line("uid", "4294967296")) + raw_member({.name = "f"}) + tar_end());
}

TEST_CASE("an archive that is cut anywhere is corrupt", "[archive][tar_reader]") {
  const auto bytes = pax(pax_line("path", std::string(200, 'p'))) + raw_member({.name = "f"}) +
                     gnu_long('L', "long") + raw_member({.name = "g", .content = "hello"}) +
                     tar_end();
  for (std::size_t block = 0; block < bytes.size(); block += 512) {
    for (const std::size_t size : {block, block + 1, block + 511}) {
      CAPTURE(size);
      refusal(bytes.substr(0, size));
    }
  }
}

TEST_CASE("an archive ends with zeros or not at all", "[archive][tar_reader]") {
  const auto file = raw_member({.name = "f"});
  CHECK(read(file + std::string(1025, '\0')).size() == 1);
  refusal(file + std::string(512, '\0') + file + tar_end());
  refusal(file + tar_end() + "x");
  refusal(file + tar_end() + file + tar_end());
}

TEST_CASE("extended headers describe exactly one member, once", "[archive][tar_reader]") {
  const auto path = pax(pax_line("path", "p"));
  const auto file = raw_member({.name = "f"});
  refusal(path + tar_end());
  refusal(path + path + file + tar_end());
  refusal(gnu_long('L', "a") + gnu_long('L', "b") + file + tar_end());
  refusal(gnu_long('L', "a") + path + file + tar_end());
  std::string globals;
  for (int i = 0; i < 100; ++i) {
    globals += pax(pax_line("comment", "x"), 'g');
  }
  refusal(globals + file + tar_end());
}

TEST_CASE("giant sizes cost nothing", "[archive][tar_reader]") {
  const std::string huge = "77777777777";
  refusal(raw_member({.name = "f", .size = huge}) + tar_end());
  refusal(raw_member({.name = "x", .type = 'x', .size = huge}) + tar_end());
  refusal(raw_member({.name = "L", .type = 'L', .size = huge}) + tar_end());
  refusal(pax(pax_line("size", "18446744073709551615")) + raw_member({.name = "f"}) + tar_end());
}

TEST_CASE("the limits hold", "[archive][tar_reader]") {
  const auto two =
      raw_member({.name = "a"}) + raw_member({.name = "b", .content = "12345"}) + tar_end();
  CHECK(read(two, {.max_entries = 2}).size() == 2);
  CHECK_THAT(refusal(two, {.max_entries = 1}).message(), ContainsSubstring("more than 1 members"));
  CHECK(read(two, {.max_entry_bytes = 5}).size() == 2);
  CHECK_THAT(refusal(two, {.max_entry_bytes = 4}).message(),
             ContainsSubstring("larger than 4 bytes"));
  CHECK(read(two, {.max_total_bytes = two.size()}).size() == 2);
  CHECK_THAT(refusal(two, {.max_total_bytes = two.size() - 1}).message(),
             ContainsSubstring("the archive is larger than"));
}

TEST_CASE("what is no tar at all is refused", "[archive][tar_reader]") {
  refusal("");
  refusal("hello");
  refusal(std::string(2048, 'x'));
  refusal(raw_member({.name = "f", .magic = "ustar\0xx"s}) + tar_end());
}
