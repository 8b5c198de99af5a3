#include "aipack/core/error.hpp"

#include "pax.hpp"
#include "support/catch.hpp"
#include "support/tar_bytes.hpp"

using namespace aipack;
using archive::parse_pax;

TEST_CASE("the length of a PAX record counts its own digits", "[archive][pax]") {
  for (std::size_t size = 0; size < 1100; ++size) {
    const auto record = archive::pax_record("path", std::string(size, 'x'));
    CAPTURE(size);
    CHECK(std::to_string(record.size()) == record.substr(0, record.find(' ')));
    CHECK(record == testing::pax_line("path", std::string(size, 'x')));
  }
}

TEST_CASE("a filler record has exactly the length asked for", "[archive][pax]") {
  for (std::uint64_t length = archive::min_pax_filler_bytes; length < 11'000; ++length) {
    const auto record = archive::pax_filler(length);
    REQUIRE(record.size() == length);
    REQUIRE(record.starts_with(std::to_string(length) + " comment=."));
    REQUIRE(record.back() == '\n');
    REQUIRE_NOTHROW(parse_pax(record, "a.tar", 0));
  }
}

TEST_CASE("parse_pax reads the records that describe a member", "[archive][pax]") {
  using testing::pax_line;
  const auto values =
      parse_pax(pax_line("atime", "1.5") + pax_line("gid", "3000000") +
                    pax_line("linkpath", "a=b\nc") + pax_line("mtime", "-1.5") +
                    pax_line("path", "ü") + pax_line("size", "18446744073709551615") +
                    pax_line("uid", "7") + pax_line("uname", "root") + pax_line("gname", "wheel") +
                    pax_line("SCHILY.xattr.user.x", std::string("\0\n\xff", 3)),
                "a.tar", 0);
  CHECK(values.path == "ü");
  CHECK(values.link_path == "a=b\nc");
  CHECK(values.size == UINT64_MAX);
  CHECK(values.uid == 7U);
  CHECK(values.gid == 3'000'000U);
  CHECK(values.mtime == -2);
  CHECK(values.user_name == "root");
  CHECK(values.group_name == "wheel");
}

TEST_CASE("PAX times are rounded down", "[archive][pax]") {
  const auto [text, seconds] = GENERATE(table<std::string, std::int64_t>({
      {"0", 0},
      {"1.999999999", 1},
      {"-1", -1},
      {"-1.0", -1},
      {"-0.1", -1},
      {"17179869184.25", 17179869184},
  }));
  CHECK(parse_pax(testing::pax_line("mtime", text), "a", 0).mtime == seconds);
}

TEST_CASE("an empty value withdraws a key", "[archive][pax]") {
  const auto values =
      parse_pax(testing::pax_line("path", "") + testing::pax_line("size", ""), "a", 0);
  CHECK_FALSE(values.path);
  CHECK_FALSE(values.size);
}

TEST_CASE("malformed PAX records are refused with their offset", "[archive][pax]") {
  using testing::pax_line;
  using namespace std::string_literals;
  const auto good = pax_line("path", "ok");
  const auto bad = GENERATE_COPY(values<std::string>({"x",
                                                      "5 a=b",
                                                      "7 a=b\n",
                                                      "5 a=b\n",
                                                      "0 a=b\n",
                                                      "-6 a=b\n",
                                                      "6  a=b\n",
                                                      "6 a=bc",
                                                      "5 ab\n",
                                                      "5 =b\n",
                                                      "999999999999999999999 a=b\n",
                                                      "100 a=b\n",
                                                      "\0\0\0"s,
                                                      pax_line("path", "a\0b"s),
                                                      pax_line("size", "-1"),
                                                      pax_line("size", "1e3"),
                                                      pax_line("uid", "18446744073709551616"),
                                                      pax_line("mtime", "now"),
                                                      pax_line("mtime", "1.x"),
                                                      pax_line("mtime", "9223372036854775808"),
                                                      pax_line("mtime", ""s + "-"),
                                                      pax_line("GNU.sparse.major", "1"),
                                                      good}));
  CAPTURE(bad);
  try {
    (void)parse_pax(good + bad, "a.tar", 1000);
    FAIL("it was accepted");
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.offset() == 1000 + good.size());
  }
}
