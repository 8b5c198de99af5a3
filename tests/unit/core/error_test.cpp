#include "aipack/core/error.hpp"

#include "support/catch.hpp"

#include <cerrno>
#include <set>

using namespace aipack;

TEST_CASE("every ErrorCode has its own name", "[core][error]") {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i) {
    names.insert(to_string(static_cast<ErrorCode>(i)));
  }
  CHECK(names.size() == 12);
  CHECK(to_string(ErrorCode::not_found) == "not_found");
}

TEST_CASE("with_context adds one frame per border, outermost last, and keeps the type",
          "[core][error]") {
  const auto inner = [] {
    return with_context(
        []() -> int { throw FormatError("a.tar", 512, "a member header has a wrong checksum"); },
        "while reading a.tar");
  };
  try {
    with_context(inner, "while unpacking 'libfoo'");
    FAIL("nothing was thrown");
  } catch (const FormatError& error) {
    CHECK(error.message() ==
          "cannot read 'a.tar': a member header has a wrong checksum (at byte 512)");
    CHECK(error.context() ==
          std::vector<std::string>{"while reading a.tar", "while unpacking 'libfoo'"});
    CHECK(error.offset() == 512U);
    CHECK(error.file() == "a.tar");
    CHECK(error.code() == ErrorCode::corrupt);
  }
}

TEST_CASE("with_context returns what the function returns", "[core][error]") {
  int value = 3;
  int& same = with_context([&]() -> int& { return value; }, "unused");
  CHECK(&same == &value);
}

TEST_CASE("with_hint keeps message and code", "[core][error]") {
  const Error error = Error(ErrorCode::denied, "cannot push 'x': no").with_hint("ask its owner");
  CHECK(error.hint() == "ask its owner");
  CHECK(std::string(error.what()) == "cannot push 'x': no");
}

TEST_CASE("throw_errno maps errno to what the caller can do next", "[core][error]") {
  const auto [number, code, cause] = GENERATE(table<int, ErrorCode, std::string>({
      {ENOENT, ErrorCode::not_found, "no such file or directory"},
      {ENOTDIR, ErrorCode::not_found, "not a directory"},
      {EACCES, ErrorCode::denied, "permission denied"},
      {EPERM, ErrorCode::denied, "operation not permitted"},
      {EEXIST, ErrorCode::already_exists, "file exists"},
      {EIO, ErrorCode::io, "input/output error"},
  }));
  try {
    throw_errno("open 'x'", number);
  } catch (const Error& error) {
    CHECK(error.code() == code);
    CHECK(error.message() == "cannot open 'x': " + cause);
    CHECK(error.hint().empty());
  }
}

TEST_CASE("a full disk comes with a hint", "[core][error]") {
  const int number = GENERATE(ENOSPC, EDQUOT);
  try {
    throw_errno("write 'x'", number);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    CHECK_THAT(error.hint(), ContainsSubstring("free some"));
  }
}
