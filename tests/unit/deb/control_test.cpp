#include "aipack/core/error.hpp"
#include "aipack/deb/control.hpp"

#include "support/catch.hpp"

#include <string>

using namespace aipack;
using deb::Paragraph;
using deb::parse_control;
using deb::parse_relations;
using deb::Relation;

TEST_CASE("parse_control reads paragraphs, fields and continuation lines", "[deb][control]") {
  const auto paragraphs = parse_control("# a comment\n"
                                        "Package: libfoo\n"
                                        "Description:short \n"
                                        " long\n"
                                        " .\n"
                                        "\tmore\n"
                                        "#in between\n"
                                        "Empty:\n"
                                        "\n"
                                        "  \t\n"
                                        "Package:   libbar   \n"
                                        "Files:\n"
                                        " a\n"
                                        " b",
                                        "test");
  REQUIRE(paragraphs.size() == 2);
  CHECK(paragraphs[0].get("package") == "libfoo");
  CHECK(paragraphs[0].get("DESCRIPTION") == "short\n long\n .\n\tmore");
  CHECK(paragraphs[0].get("Empty").empty());
  CHECK_FALSE(paragraphs[0].find("Files").has_value());
  CHECK(paragraphs[1].get("Package") == "libbar");
  CHECK(paragraphs[1].get("Files") == "\n a\n b");
  CHECK(paragraphs[1].fields().front().first == "Package");
  CHECK(parse_control("", "test").empty());
  CHECK(parse_control("\n\n#x\n", "test").empty());
}

TEST_CASE("a paragraph prints what parses back", "[deb][control]") {
  const std::string text = "Package: a\nDescription: b\n c\n .\n d\nFiles:\n x\n y\nVersion: 1\n";
  const auto paragraphs = parse_control(text, "test");
  REQUIRE(paragraphs.size() == 1);
  CHECK(paragraphs[0].to_string() == text);
}

TEST_CASE("parse_control refuses what is no control file, with the byte offset", "[deb][control]") {
  std::string text;
  std::uint64_t offset = 0;
  std::tie(text, offset) = GENERATE(table<std::string, std::uint64_t>({{" continued\n", 0},
                                                                       {"A: b\nno colon\n", 5},
                                                                       {"A: b\n: c\n", 5},
                                                                       {"A: b\n-X: c\n", 5},
                                                                       {"A: b\nX Y: c\n", 5},
                                                                       {"A: b\nB: c\na: d\n", 10},
                                                                       {"A: b\n\n x\n", 6},
                                                                       {"\xff: c\n", 0}}));
  CAPTURE(text);
  try {
    (void)parse_control(text, "the name");
    FAIL("parsed");
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.offset() == offset);
    CHECK(error.file() == "the name");
  }
}

TEST_CASE("parse_control has limits", "[deb][control]") {
  CHECK_THROWS_AS(parse_control(std::string("A: b\0c\n", 7), "test"), FormatError);
  CHECK_THROWS_AS(parse_control(std::string(deb::max_control_bytes + 1, '\n'), "test"),
                  FormatError);
  std::string many;
  for (std::size_t i = 0; i < deb::max_control_fields; ++i) {
    many += "F" + std::to_string(i) + ": x\n";
  }
  CHECK(parse_control(many, "test").at(0).fields().size() == deb::max_control_fields);
  CHECK_THROWS_AS(parse_control(many + "Last: x\n", "test"), FormatError);
}

TEST_CASE("Paragraph::set replaces, appends and refuses what would break out of its field",
          "[deb][control]") {
  Paragraph paragraph;
  paragraph.set("Package", "a");
  paragraph.set("Version", "1");
  paragraph.set("PACKAGE", "b");
  CHECK(paragraph.to_string() == "Package: b\nVersion: 1\n");
  CHECK_THROWS_AS(paragraph.set("Bad Name", "x"), Error);
  CHECK_THROWS_AS(paragraph.set("Description", "x\nInjected: y"), Error);
  CHECK_THROWS_AS(paragraph.set("Description", "x\n\n y"), Error);
  CHECK_THROWS_AS(paragraph.set("Description", "x\n"), Error);
  CHECK_THROWS_AS(paragraph.get("Missing"), Error);
  paragraph.set("Description", "x\n y");
  CHECK(parse_control(paragraph.to_string(), "test").at(0).fields() == paragraph.fields());
}

TEST_CASE("parse_relations reads alternatives, versions and qualifiers", "[deb][relations]") {
  const auto all = parse_relations(
      "libc6 (>= 2.38), libgcc-s1(>=4.2)|libgcc1 ,\n python3:any (<< 3.14~), "
      "foo:native [amd64 !arm64] <!nocheck> <cross>, old (< 1), new (> 2), x (= 1:2.0-1)");
  REQUIRE(all.size() == 7);
  CHECK(all[0] == std::vector<Relation>{{"libc6", "", ">=", "2.38"}});
  CHECK(all[1] == std::vector<Relation>{{"libgcc-s1", "", ">=", "4.2"}, {"libgcc1", "", "", ""}});
  CHECK(all[2] == std::vector<Relation>{{"python3", "any", "<<", "3.14~"}});
  CHECK(all[3] == std::vector<Relation>{{"foo", "native", "", ""}});
  CHECK(all[4] == std::vector<Relation>{{"old", "", "<=", "1"}});
  CHECK(all[5] == std::vector<Relation>{{"new", "", ">=", "2"}});
  CHECK(all[6] == std::vector<Relation>{{"x", "", "=", "1:2.0-1"}});
  CHECK(parse_relations("").empty());
  CHECK(parse_relations(" , ,").empty());
  CHECK(parse_relations("a, , b,").size() == 2);
}

TEST_CASE("parse_relations refuses what is no relation", "[deb][relations]") {
  const std::string text = GENERATE("|", "a |", "| a", "a b", "a (", "a (>= 1", "a (>= )", "a (1)",
                                    "a (== 1)", "a (>=1) b", "a:", "+a", "a (>= 1 2)", "a [amd64",
                                    "a <x", "a (>= b_c)", "a | , b", "\xff", "a (= 1))");
  CAPTURE(text);
  try {
    (void)parse_relations(text);
    FAIL("parsed");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
  }
}
