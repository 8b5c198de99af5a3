#include "aipack/core/error.hpp"

#include "packages_file.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::solve;

namespace {

std::vector<PackageFields> read(std::string_view text) {
  PackagesReader reader(text, "Packages");
  std::vector<PackageFields> all;
  PackageFields fields;
  while (reader.next(fields)) {
    all.push_back(fields);
  }
  return all;
}

} // namespace

TEST_CASE("PackagesReader reads the fields it knows, in any case and with continuation lines",
          "[solve][packages]") {
  const auto all =
      read("\n\nPackage: a\nVERSION:1\nArchitecture: all\nDescription: x\n Depends: not a field\n"
           "Depends: b,\n\tc\nSize: 5\n\n\nPackage: b\nVersion: 2\nArchitecture: amd64");
  REQUIRE(all.size() == 2);
  CHECK(all[0].package == "a");
  CHECK(all[0].version == "1");
  CHECK(all[0].depends == "b,\n\tc");
  CHECK(all[0].size == "5");
  CHECK(all[1].package == "b");
  CHECK(all[1].architecture == "amd64");
  CHECK(all[1].depends.empty());
}

TEST_CASE("PackagesReader refuses what is no package, with the offset", "[solve][packages]") {
  const std::string good = "Package: a\nVersion: 1\nArchitecture: all\n\n";
  const auto [bad, cause] = GENERATE(table<std::string, std::string>({
      {" Package: a\n", "continuation"},
      {"Package a\n", "no field name"},
      {": a\n", "empty"},
      {"Package: a\nPackage: b\n", "twice"},
      {"Version: 1\nArchitecture: all\n", "no proper name"},
      {"Package: a b\nVersion: 1\nArchitecture: all\n", "no proper name"},
      {"Package: a\nArchitecture: all\n", "no proper version"},
      {"Package: a\nVersion: 1\n", "no proper architecture"},
  }));
  CAPTURE(bad);
  try {
    static_cast<void>(read(good + bad));
    FAIL("accepted");
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK_THAT(error.message(), ContainsSubstring(cause));
    CHECK(error.offset().value_or(0) >= good.size());
  }
}

TEST_CASE("PackagesReader limits the length of a paragraph", "[solve][packages]") {
  CHECK_THROWS_AS(read("Package: a\nVersion: 1\nArchitecture: all\nDescription: " +
                       std::string(max_paragraph_bytes, 'x')),
                  FormatError);
}

TEST_CASE("parse_packages reports a bad relation at its place in the index", "[solve][packages]") {
  const std::string text = "Package: a\nVersion: 1\nArchitecture: all\nDepends: b (>= 1), c (!)\n";
  solv::Pool pool("amd64");
  try {
    static_cast<void>(parse_packages(text, "Packages", "amd64", pool));
    FAIL("accepted");
  } catch (const FormatError& error) {
    CHECK(error.offset() == text.find('!'));
  }
}
