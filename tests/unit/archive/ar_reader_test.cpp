#include "aipack/archive/ar_reader.hpp"
#include "aipack/core/error.hpp"

#include "support/catch.hpp"

using namespace aipack;

namespace {

class TextAccess final : public io::RandomAccess {
public:
  explicit TextAccess(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return text_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    REQUIRE(offset + into.size() <= text_.size()); // the reader must look at the size first
    const auto part = io::as_bytes(text_).subspan(static_cast<std::size_t>(offset), into.size());
    std::copy(part.begin(), part.end(), into.begin());
  }

private:
  std::string text_;
};

std::string field(std::string text, std::size_t length) {
  text.resize(length, ' ');
  return text;
}

std::string header(const std::string& name, const std::string& size) {
  return field(name, 16) + field("1700000000", 12) + field("0", 6) + field("0", 6) +
         field("100644", 8) + field(size, 10) + "`\n";
}

std::string member(const std::string& name, const std::string& content) {
  return header(name, std::to_string(content.size())) + content +
         (content.size() % 2 == 1 ? "\n" : "");
}

const std::string magic = "!<arch>\n";

std::vector<archive::ArMember> read(const std::string& bytes) {
  return archive::read_ar(TextAccess(bytes), "x.deb");
}

} // namespace

TEST_CASE("read_ar lists the members of a .deb with their places", "[archive][ar]") {
  const auto bytes = magic + member("debian-binary", "2.0\n") + member("control.tar.xz", "odd") +
                     member("data.tar.xz/", std::string(10, 'd'));
  const auto members = read(bytes);
  REQUIRE(members.size() == 3);
  CHECK(members[0].name == "debian-binary");
  CHECK(bytes.substr(members[0].offset, members[0].size) == "2.0\n");
  CHECK(members[1].name == "control.tar.xz");
  CHECK(bytes.substr(members[1].offset, members[1].size) == "odd");
  CHECK(members[2].name == "data.tar.xz");
  CHECK(bytes.substr(members[2].offset, members[2].size) == std::string(10, 'd'));
}

TEST_CASE("an ar archive may be empty and may lack its last padding byte", "[archive][ar]") {
  CHECK(read(magic).empty());
  auto bytes = magic + member("a", "odd");
  bytes.pop_back();
  CHECK(read(bytes).size() == 1);
}

TEST_CASE("malformed ar archives are refused with the offset", "[archive][ar]") {
  const auto first = member("a", "1234");
  const std::string deb = magic + first;
  const auto [bytes, offset] = GENERATE_COPY(table<std::string, std::uint64_t>({
      {"", 0},
      {"!<arch>", 0},
      {"!<thin>\n" + first, 0},
      {deb + "x", deb.size()},
      {deb + header("b", "0").substr(0, 59), deb.size()},
      {deb + header("b", "0").substr(0, 58) + "\n`", deb.size()},
      {deb + header("b", "5") + "1234", deb.size()},
      {deb + header("b", "9999999999"), deb.size()},
      {deb + header("b", "-4") + "1234", deb.size()},
      {deb + header("b", "4x") + "1234", deb.size()},
      {deb + header("b", "") + "1234", deb.size()},
      {deb + header("b", " 4") + "1234", deb.size()},
      {deb + member("", "1234"), deb.size()},
      {deb + member("/", "1234"), deb.size()},
      {deb + member("//", "1234"), deb.size()},
      {deb + member("/0", "1234"), deb.size()},
      {deb + member("#1/4", "1234"), deb.size()},
      {deb + member("b\x1b[2J", "1234"), deb.size()},
      {deb + member("a b", "1234"), deb.size()},
      {deb + member("a/", "1234"), deb.size()}, // the same name as the first
  }));
  CAPTURE(bytes);
  try {
    (void)read(bytes);
    FAIL("it was accepted");
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.offset() == offset);
    CHECK(error.file() == "x.deb");
  }
}

TEST_CASE("read_ar stops at its limit of members", "[archive][ar]") {
  std::string bytes = magic;
  for (std::size_t i = 0; i < archive::max_ar_members; ++i) {
    bytes += member("m" + std::to_string(i), "");
  }
  CHECK(read(bytes).size() == archive::max_ar_members);
  CHECK_THROWS_AS(read(bytes + member("one-more", "")), FormatError);
}
