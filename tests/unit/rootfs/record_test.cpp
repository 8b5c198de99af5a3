#include "aipack/core/error.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include "sample.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::test;

TEST_CASE("The record holds what was kept, dropped and judged, and reads back",
          "[rootfs][record]") {
  auto request = Sample{}.request();
  request.assumed = {"debconf"};
  const auto composition = rootfs::compose(request, {});
  const std::string text = rootfs::write_record(composition);
  const auto record = rootfs::read_record(text, "composition.json");
  REQUIRE(record.kept.size() == composition.tree.size());
  std::size_t i = 0;
  for (const auto& [path, entry] : composition.tree.entries()) {
    CHECK(record.kept[i].path == path);
    CHECK(record.kept[i].package == entry.package);
    CHECK(record.kept[i].reason == *entry.reason);
    ++i;
  }
  CHECK(record.dropped == composition.dropped);
  CHECK(record.scripts == composition.scripts);
  REQUIRE(record.packages.has_value());
  CHECK(*record.packages == composition.packages);
  CHECK(rootfs::write_record(rootfs::compose(request, {})) == text);
}

TEST_CASE("The record says where each package is from and what its licence is",
          "[rootfs][record]") {
  auto request = Sample{}.request();
  request.packages.push_back(
      PackageBuilder("libextra", "amd64", "2.0-1+b3")
          .field("Source", "extra (2.0-1)")
          .field("Maintainer", "Someone <someone@example.org>")
          .field("Homepage", "https://example.org")
          .file("usr/share/extra/data", "x")
          .file("usr/share/doc/libextra/copyright",
                "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
                "Files: *\nLicense: GPL-2+ and odd\n\nLicense: odd\n Odd words.\n")
          .build());
  request.whole_packages = {"libextra"};
  const auto composition = rootfs::compose(request, {});
  const auto found =
      std::ranges::find(composition.packages, "libextra", &rootfs::KeptPackage::name);
  REQUIRE(found != composition.packages.end());
  CHECK(found->version == "2.0-1+b3");
  CHECK(found->source == "extra");
  CHECK(found->source_version == "2.0-1");
  CHECK(found->suite == "trixie");
  CHECK(found->maintainer == "Someone <someone@example.org>");
  CHECK(found->homepage == "https://example.org");
  CHECK(found->digest == oci::Digest::of("libextra2.0-1+b3"));
  CHECK_THAT(found->license.expression, ContainsSubstring("GPL-2.0-or-later AND LicenseRef-"));
  REQUIRE(found->license.texts.size() == 1);
  CHECK(found->license.texts.begin()->second == "Odd words.");
  const auto record = rootfs::read_record(rootfs::write_record(composition), "r");
  CHECK(record.packages == composition.packages);
}

TEST_CASE("A record without packages is one of an earlier aipack", "[rootfs][record]") {
  const auto record =
      rootfs::read_record(R"({"version":1,"strings":[],"kept":[],"dropped":[],"scripts":[]})", "r");
  CHECK_FALSE(record.packages.has_value());
}

TEST_CASE("A name that is no UTF-8 does not break the record", "[rootfs][record]") {
  rootfs::Composition composition;
  composition.tree.put(at("usr/\xff"), {.reason = fs::Reason{"data", "x", at("usr/gone")}});
  const auto record = rootfs::read_record(rootfs::write_record(composition), "r");
  REQUIRE(record.kept.size() == 1);
  CHECK(record.kept[0].reason.from == at("usr/gone"));
}

TEST_CASE("read_record refuses what is no record", "[rootfs][record]") {
  const auto text = GENERATE(
      as<std::string>{}, "", "[]", "{}", "null", "{\"version\":2}",
      "{\"version\":1,\"strings\":[1],\"kept\":[],\"dropped\":[],\"scripts\":[]}",
      R"({"version":1,"strings":["a"],"kept":[["/x",1,0,0,-1]],"dropped":[],"scripts":[]})",
      R"({"version":1,"strings":["a"],"kept":[["/x",-1,0,0,-1]],"dropped":[],"scripts":[]})",
      R"({"version":1,"strings":["a"],"kept":[["/x",0,0,0,7]],"dropped":[],"scripts":[]})",
      R"({"version":1,"strings":["a"],"kept":[["/../x",0,0,0,-1]],"dropped":[],"scripts":[]})",
      R"({"version":1,"strings":["a"],"kept":[["/b",0,0,0,-1],["/a",0,0,0,-1]],"dropped":[],"scripts":[]})",
      R"({"version":1,"strings":["a"],"kept":[["/b"]],"dropped":[],"scripts":[]})",
      R"({"version":1,"strings":["a"],"kept":[],"dropped":[[0,0,[["/x","big"]]]],"scripts":[]})",
      R"({"version":1,"strings":["a"],"kept":[],"dropped":[],"scripts":[["a","b","c","maybe","d"]]})",
      R"({"version":1,"strings":[],"kept":[],"dropped":[],"scripts":[],"packages":[]})",
      R"({"version":1,"strings":[],"kept":[],"dropped":[],"scripts":[],"licenses":{},"packages":[{}]})",
      R"({"version":1,"strings":[],"kept":[],"dropped":[],"scripts":[],"licenses":{},
          "packages":[{"name":"a","version":"1","architecture":"all","license":"Expat"}]})",
      R"({"version":1,"strings":[],"kept":[],"dropped":[],"scripts":[],"licenses":{},
          "packages":[{"name":"a","version":"1","architecture":"all","license":"LicenseRef-a"}]})",
      R"({"version":1,"strings":[],"kept":[],"dropped":[],"scripts":[],"licenses":{},
          "packages":[{"name":"a","version":"1","architecture":"all","license":"MIT","digest":"md5:0"}]})",
      R"({"version":1,"strings":[],"kept":[],"dropped":[],"scripts":[],"licenses":{},
          "packages":[{"name":"b","version":"1","architecture":"all","license":"MIT"},
                      {"name":"a","version":"1","architecture":"all","license":"MIT"}]})",
      std::string(100'000, '['));
  CAPTURE(text);
  CHECK_THROWS_AS(rootfs::read_record(text, "r"), FormatError);
}

TEST_CASE("Two files that name each other do not make why go round", "[rootfs][record]") {
  fs::FileTree tree;
  tree.put(at("a"), {.reason = fs::Reason{"needed", "b", at("b")}});
  tree.put(at("b"), {.reason = fs::Reason{"needed", "a", at("a")}});
  CHECK(rootfs::why(tree, at("a")).size() == 2);
}
