#include "aipack/core/error.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"

#include <fstream>

using namespace aipack;

namespace {

void put(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

} // namespace

TEST_CASE("host_apt_mirrors reads the one-line form", "[deb][mirrors]") {
  const io::TempDirectory etc;
  put(etc.path() / "sources.list",
      "# deb http://comment.example/debian trixie main\n"
      "deb-src http://source.example/debian trixie main\n"
      "deb cdrom:[Debian]/ trixie main\n"
      "deb mirror+file:/etc/mirrors/debian trixie main\n"
      "deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://vendor.example/repo stable "
      "main\n"
      "\tdeb\t[ arch=amd64 ]\thttp://one.example/debian/\ttrixie main # the mirror\n"
      "deb http://two.example/debian trixie-updates main\n"
      "deb http://sec.example/path/debian-security trixie-security main\n");
  const auto mirrors = deb::host_apt_mirrors(etc.path());
  CHECK(mirrors.archive == "http://one.example/debian");
  CHECK(mirrors.security == "http://sec.example/path/debian-security");
  CHECK(mirrors.origin == "apt configuration");
}

TEST_CASE("host_apt_mirrors reads the deb822 form", "[deb][mirrors]") {
  const io::TempDirectory etc;
  put(etc.path() / "sources.list.d/a.sources",
      "Types: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\nEnabled: "
      "no\n\n"
      "Types: deb-src\nURIs: http://src.example/debian\nSuites: trixie\n\n"
      "# comment\nTypes: deb deb-src\nURIs: http://vendor.example/other\n "
      "http://three.example/debian\n"
      "Suites: trixie trixie-updates\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY "
      "BLOCK-----\n .\n xx\n");
  put(etc.path() / "sources.list.d/b.sources",
      "Types: deb\nEnabled: yes\nURIs: file:///srv/debian-security/\nSuites: trixie-security\n");
  put(etc.path() / "sources.list.d/c.sources.save",
      "Types: deb\nURIs: http://saved.example/debian-security\n");
  put(etc.path() / "sources.list.d/d.sources", "this is broken\n");
  put(etc.path() / "sources.list.d/e.list", "deb http://late.example/debian x main\n");
  const auto mirrors = deb::host_apt_mirrors(etc.path());
  CHECK(mirrors.archive == "http://three.example/debian");
  CHECK(mirrors.security == "file:///srv/debian-security");
}

TEST_CASE("host_apt_mirrors of a host without apt names nothing", "[deb][mirrors]") {
  const io::TempDirectory etc;
  CHECK(deb::host_apt_mirrors(etc.path() / "missing").archive.empty());
  CHECK(deb::host_apt_mirrors(etc.path()).security.empty());
}

TEST_CASE("choose_mirrors takes what was asked for, else the host's, else Debian's own",
          "[deb][mirrors]") {
  const io::TempDirectory etc;
  const auto chosen = [&](std::string_view text) {
    return deb::choose_mirrors(text, "--mirror", etc.path());
  };
  CHECK(chosen("") == deb::Mirrors{std::string(deb::default_mirror),
                                   std::string(deb::default_security_mirror), "default"});
  put(etc.path() / "sources.list", "deb http://host.example/debian trixie main\n");
  CHECK(chosen("") == deb::Mirrors{"http://host.example/debian",
                                   std::string(deb::default_security_mirror), "apt configuration"});
  CHECK(chosen("http://asked.example/debian") ==
        deb::Mirrors{"http://asked.example/debian", "http://asked.example/debian-security",
                     "--mirror"});
  CHECK_THROWS_AS(chosen("asked.example"), Error);
}

TEST_CASE("parse_mirrors names the sibling or takes both", "[deb][mirrors]") {
  const auto one = deb::parse_mirrors("http://host.example/debian/", "--mirror");
  CHECK(one == deb::Mirrors{"http://host.example/debian", "http://host.example/debian-security",
                            "--mirror"});
  const auto two = deb::parse_mirrors("https://a.example/x, file:///srv/y", "AIPACK_MIRROR");
  CHECK(two == deb::Mirrors{"https://a.example/x", "file:///srv/y", "AIPACK_MIRROR"});
  CHECK(deb::parse_mirrors("/srv/my mirror/debian", "x").archive ==
        "file:///srv/my%20mirror/debian");
  const std::string bad =
      GENERATE("", ",", "http://host.example/other", "ftp://host.example/debian",
               "host.example/debian", "a,b,c", "http://host.example/debian?x=y",
               "http://a.example/debian,", "http://", "http:///", "relative/debian");
  CAPTURE(bad);
  try {
    (void)deb::parse_mirrors(bad, "--mirror");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
  }
}

TEST_CASE("sources_for completes a stable release", "[deb][mirrors]") {
  const deb::Mirrors mirrors{"http://a/debian", "http://s/debian-security", "test"};
  const auto trixie = deb::sources_for("trixie", mirrors);
  REQUIRE(trixie.size() == 3);
  CHECK(trixie[0] == deb::Source{"http://a/debian", "trixie", {"main"}});
  CHECK(trixie[1] == deb::Source{"http://a/debian", "trixie-updates", {"main"}});
  CHECK(trixie[2] == deb::Source{"http://s/debian-security", "trixie-security", {"main"}});
  CHECK(deb::sources_for("sid", mirrors) ==
        std::vector<deb::Source>{{"http://a/debian", "sid", {"main"}}});
  CHECK(deb::sources_for("forky", mirrors).size() == 1);
  CHECK(deb::sources_for("trixie-security", mirrors) ==
        std::vector<deb::Source>{{"http://s/debian-security", "trixie-security", {"main"}}});
  CHECK(deb::sources_for("trixie-backports", mirrors) ==
        std::vector<deb::Source>{{"http://a/debian", "trixie-backports", {"main"}}});
  for (const char* bad : {"", "../x", "a b", "/x", "Trixie?"}) {
    CHECK_THROWS_AS(deb::sources_for(bad, mirrors), Error);
  }
  CHECK_THROWS_AS(deb::sources_for("trixie", {"http://a/debian", "", "test"}), Error);
}
