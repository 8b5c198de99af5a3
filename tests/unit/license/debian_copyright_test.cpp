#include "aipack/license/debian.hpp"

#include "support/catch.hpp"
#include "support/test_data.hpp"

#include <fstream>
#include <iterator>
#include <string>

using namespace aipack;
using namespace aipack::license;

namespace {

constexpr std::string_view format =
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n";

/// A file whose only paragraph of files has this licence field.
License of_field(const std::string& field) {
  return read_debian_copyright(
      std::string(format) + "\nFiles: *\nCopyright: someone\nLicense: " + field + "\n", "demo");
}

} // namespace

TEST_CASE("Debian's short names are said in SPDX's words", "[license][debian]") {
  const auto [field, expected] = GENERATE(table<std::string, std::string>({
      {"Expat", "MIT"},
      {"GPL-2", "GPL-2.0-only"},
      {"GPL-2+", "GPL-2.0-or-later"},
      {"GPL-2.0-or-later", "GPL-2.0-or-later"},
      {"gpl-3", "GPL-3.0-only"},
      {"GPL", "GPL-1.0-or-later"},
      {"GPL-2 or later", "GPL-2.0-or-later"},
      {"LGPL-2.1+", "LGPL-2.1-or-later"},
      {"LGPL-3", "LGPL-3.0-only"},
      {"AGPL-3+", "AGPL-3.0-or-later"},
      {"GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"},
      {"BSD-3-clause", "BSD-3-Clause"},
      {"BSD-2-Clause", "BSD-2-Clause"},
      {"Apache-2", "Apache-2.0"},
      {"Apache-2.0", "Apache-2.0"},
      {"Artistic", "Artistic-1.0-Perl"},
      {"Perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"},
      {"CC0", "CC0-1.0"},
      {"CC-BY-SA-3.0", "CC-BY-SA-3.0"},
      {"MPL-2.0", "MPL-2.0"},
      {"PSF-2", "PSF-2.0"},
      {"zlib", "Zlib"},
      {"ISC", "ISC"},
      {"BSL-1.0", "BSL-1.0"},
      {"Apache-2.0 with LLVM exception", "Apache-2.0 WITH LLVM-exception"},
      {"GPL-3+ with GCC Runtime Library exception", "GPL-3.0-or-later WITH GCC-exception-3.1"},
      {"GPL-2+ with Autoconf exception", "GPL-2.0-or-later WITH Autoconf-exception-generic"},
      {"GPL-3+ with Bison-2.2 exception", "GPL-3.0-or-later WITH Bison-exception-2.2"},
  }));
  CAPTURE(field);
  const auto license = of_field(field);
  CHECK(license.expression == expected);
  CHECK(license.texts.empty());
}

TEST_CASE("and, or and commas bind as the format says", "[license][debian]") {
  const auto [field, expected] = GENERATE(table<std::string, std::string>({
      {"GPL-2+ and Expat", "GPL-2.0-or-later AND MIT"},
      {"GPL-2+ or Expat", "GPL-2.0-or-later OR MIT"},
      {"GPL-2+ or Expat and ISC", "GPL-2.0-or-later OR MIT AND ISC"},
      {"GPL-2+ or Expat, and ISC", "(GPL-2.0-or-later OR MIT) AND ISC"},
      {"GPL-2+ and Expat, or ISC", "GPL-2.0-or-later AND MIT OR ISC"},
      {"GPL-2+, Expat and ISC", "GPL-2.0-or-later AND MIT AND ISC"},
      {"GPL-2+, Expat or ISC", "GPL-2.0-or-later OR MIT OR ISC"},
      {"GPL-2+, Expat, or ISC", "GPL-2.0-or-later OR MIT OR ISC"},
      {"GPL-2+ and/or Expat", "GPL-2.0-or-later AND MIT"},
      {"Expat, Expat and Expat", "MIT"},
      {"GPL-2+ AND Expat", "GPL-2.0-or-later AND MIT"},
  }));
  CAPTURE(field);
  CHECK(of_field(field).expression == expected);
}

TEST_CASE("All paragraphs of files count, each licence once", "[license][debian]") {
  const auto license =
      read_debian_copyright(std::string(format) + "\nFiles: *\nLicense: Expat\n"
                                                  "\nFiles: debian/*\nLicense: GPL-2+\n"
                                                  "\nFiles: a\nLicense: Expat\n"
                                                  "\nLicense: GPL-2+\n text\n"
                                                  "\nLicense: ISC\n of no files\n",
                            "demo");
  CHECK(license.expression == "MIT AND GPL-2.0-or-later");
}

TEST_CASE("A licence that SPDX does not know keeps its text", "[license][debian]") {
  SECTION("behind the name") {
    const auto license = of_field("public-domain\n Take it.\n .\n Really.");
    REQUIRE(license.texts.size() == 1);
    CHECK(license.texts.begin()->second == "Take it.\n\nReally.");
    CHECK(license.expression.starts_with("LicenseRef-Debian-public-domain-"));
    CHECK(license.expression == license.texts.begin()->first);
  }
  SECTION("in a paragraph of its own, whatever the case") {
    const auto license = of_field(
        "GPL-2+ with odd exception and Expat\n\nLicense: gpl-2+ with ODD exception\n Odd.");
    REQUIRE(license.texts.size() == 1);
    CHECK(license.texts.begin()->second == "Odd.");
    CHECK(license.expression == license.texts.begin()->first + " AND MIT");
  }
  SECTION("nowhere: the file is pointed at") {
    const auto license = of_field("odd");
    REQUIRE(license.texts.size() == 1);
    CHECK_THAT(license.texts.begin()->second, ContainsSubstring("/usr/share/doc/demo/copyright"));
  }
  SECTION("too long or no UTF-8: the file is pointed at") {
    const auto text = GENERATE(std::string(max_text_bytes + 1, 'x'), std::string("\xff"));
    const auto license = of_field("odd\n " + text);
    REQUIRE(license.texts.size() == 1);
    CHECK_THAT(license.texts.begin()->second, ContainsSubstring("/usr/share/doc/demo/copyright"));
  }
}

TEST_CASE("Files in free form are recognised by reference and wording", "[license][debian]") {
  const auto [text, expected] = GENERATE(table<std::string, std::string>({
      {"On Debian systems see `/usr/share/common-licenses/GPL-2'.", "GPL-2.0-only"},
      {"either version 2 of the License, or (at your option) any later\nversion. See\n"
       "/usr/share/common-licenses/GPL-2.",
       "GPL-2.0-or-later"},
      {"version 3, or any later version; see /usr/share/common-licenses/GPL", "GPL-3.0-or-later"},
      {"/usr/share/common-licenses/Apache-2.0", "Apache-2.0"},
      {"Permission is hereby granted, free of charge, to any person obtaining a copy\nof this "
       "software and associated documentation files (the \"Software\"), to deal",
       "MIT"},
      {"This software is provided 'as-is', without any express or implied\n  warranty.  In no "
       "event "
       "will the authors be held liable for any damages\n  arising from the use of this software.",
       "Zlib"},
      {"Redistribution and use in source and binary forms, with or without modification, are "
       "permitted provided that",
       "BSD-2-Clause"},
      {"Redistribution and use in source and binary forms, with or without\n * modification, are "
       "permitted provided that ... to endorse or promote products derived",
       "BSD-3-Clause"},
      {"LGPL: any later version /usr/share/common-licenses/LGPL-2.1 " + std::string(300, '.') +
           " docs /usr/share/common-licenses/GFDL-1.3",
       "LGPL-2.1-or-later AND GFDL-1.3-only"},
  }));
  CAPTURE(text);
  CHECK(read_debian_copyright(text, "demo").expression == expected);
}

TEST_CASE("A file in which nothing is recognised is pointed at", "[license][debian]") {
  const auto text = GENERATE(as<std::string>{}, "", "All rights reserved.",
                             "Format: x\n\nFiles: *\nCopyright: y\n", "License: Expat\n",
                             std::string(max_copyright_bytes + 1, ' '), std::string("\0\xff", 2));
  const auto license = read_debian_copyright(text, "demo");
  CHECK(license.expression == "LicenseRef-Debian-demo");
  CHECK_THAT(license.texts.at(license.expression),
             ContainsSubstring("/usr/share/doc/demo/copyright"));
}

TEST_CASE("Real copyright files of packages that the example's image holds", "[license][debian]") {
  const auto [package, expected] = GENERATE(table<std::string, std::string>({
      {"base-files", "GPL-2.0-or-later AND LicenseRef-Debian-verbatim-8135c110"},
      {"libabsl20240722", "Apache-2.0"},
      {"libcpuinfo0", "BSD-2-Clause AND MIT"},
      {"libpthreadpool0", "BSD-2-Clause"},
      {"libre2-11",
       "LicenseRef-Debian-BSD-3-google-96b63365 AND LicenseRef-Debian-Lucent-80fdf731"},
      {"libxnnpack0.20241108", "BSD-3-Clause AND MIT"},
      {"netbase", "GPL-2.0-only"},
      {"zlib1g", "Zlib"},
  }));
  CAPTURE(package);
  std::ifstream file(test::test_data() / "copyright" / package);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  REQUIRE_FALSE(text.empty());
  const auto license = read_debian_copyright(text, package);
  CHECK(license.expression == expected);
  for (const auto& [reference, words] : license.texts) {
    CHECK_THAT(expected, ContainsSubstring(reference));
    CHECK_FALSE(words.empty());
  }
}

TEST_CASE("Hostile copyright files end in a valid licence", "[license][debian]") {
  std::string many(format);
  for (std::size_t i = 0; i < max_copyright_licenses + 2; ++i) {
    many += "\nFiles: *\nLicense: odd" + std::to_string(i) + "\n";
  }
  std::string paragraphs(format);
  for (std::size_t i = 0; i < max_copyright_paragraphs + 1; ++i) {
    paragraphs += "\nA: b\n";
  }
  std::string references;
  while (references.size() < 200'000) {
    references += "/usr/share/common-licenses/GPL ";
  }
  std::string long_names(format);
  for (std::size_t i = 0; i < max_copyright_licenses; ++i) {
    long_names += "\nFiles: *\nLicense: " + std::string(100, 'x') + std::to_string(i) + "\n";
  }
  for (const auto& text :
       {many, paragraphs, references, long_names,
        std::string(format) + "\nFiles: *\nLicense: " + std::string(100'000, ','),
        std::string(format) + "\nFiles: *\nLicense: with with and or , and",
        std::string(format) + "\nFiles: *\nLicense:\n",
        std::string(format) + "\nFiles: *\nLicense: and\n"}) {
    const auto license = read_debian_copyright(text, "demo");
    CHECK(try_parse_expression(license.expression) == license.expression);
    for (const auto& reference : references_of(license.expression)) {
      CHECK(license.texts.contains(reference));
    }
  }
}
