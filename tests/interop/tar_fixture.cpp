// Lets tar_interop.py drive aipack's tar writer and reader:
//   tar_fixture write FILE          a seeded random tree, its members listed on stdout
//   tar_fixture write-aligned FILE  the same, every regular file's payload at a multiple of 4096
//   tar_fixture list FILE           the members of any tar
// A line per member: type, path, mode, uid, gid, mtime, link target, content; texts in hex.
#include "aipack/archive/tar_reader.hpp"
#include "aipack/archive/tar_writer.hpp"
#include "aipack/core/error.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>

#include <fmt/format.h>

// generate.hpp is made for Catch2 tests, where INFO prints the seed; here it is printed at once.
#include "support/generate.hpp"

using namespace aipack;

namespace {

constexpr std::uint64_t max_content_bytes = std::uint64_t{1} << 20;

std::string hex(std::string_view text) {
  std::string out = "=";
  for (const char c : text) {
    out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

char letter(fs::FileType type) {
  switch (type) {
  case fs::FileType::regular:
    return 'f';
  case fs::FileType::directory:
    return 'd';
  case fs::FileType::symlink:
    return 'l';
  case fs::FileType::hard_link:
    return 'h';
  }
  return '?';
}

void print(const archive::TarMember& member, std::string_view content) {
  std::cout << fmt::format("{} {} {:o} {} {} {} {} {}\n", letter(member.type),
                           hex(member.path.text()), member.mode, member.uid, member.gid,
                           member.mtime, hex(member.link_target), hex(content));
}

void write(const char* file, bool aligned) {
  testing::Random random;
  auto tree = testing::random_tree(random, 150);
  std::cerr << "repeat with AIPACK_TEST_SEED=" << random.seed() << '\n';
  std::string bytes;
  for (auto [path, entry] : tree.entries()) {
    const bool is_link =
        entry.type == fs::FileType::symlink || entry.type == fs::FileType::hard_link;
    entry.mode = is_link ? 0777 : (entry.mode | 0700); // the extracting user must get through
    const bool align = aligned && entry.type == fs::FileType::regular;
    bytes += archive::tar_header(path, entry, align ? std::optional(bytes.size()) : std::nullopt);
    if (align && bytes.size() % archive::payload_alignment != 0) {
      throw Error(ErrorCode::internal, "cannot align a payload: a bug");
    }
    std::string content;
    if (entry.content) {
      const auto source = entry.content->open();
      content = io::read_text(*source, max_content_bytes, "content");
      bytes += content;
      bytes.append(archive::tar_padding(content.size()), '\0');
    }
    print({.path = path,
           .type = entry.type,
           .mode = entry.mode,
           .uid = entry.uid,
           .gid = entry.gid,
           .mtime = entry.mtime,
           .link_target = entry.link_target},
          content);
  }
  bytes.append(archive::tar_trailer_bytes, '\0');
  std::ofstream(file, std::ios::binary) << bytes;
}

void list(const char* file) {
  archive::TarReader reader(std::make_unique<io::FileSource>(file), file);
  while (const auto member = reader.next()) {
    print(*member, io::read_text(reader.content(), max_content_bytes, "content"));
  }
}

} // namespace

int main(int argc, char* argv[]) {
  if (argc != 3) {
    std::cerr << "usage: tar_fixture write|write-aligned|list FILE\n";
    return 2;
  }
  const std::string_view verb = argv[1];
  try {
    if (verb == "list") {
      list(argv[2]);
    } else {
      write(argv[2], verb == "write-aligned");
    }
  } catch (const Error& error) {
    std::cerr << error.message() << '\n';
    return 1;
  }
}
