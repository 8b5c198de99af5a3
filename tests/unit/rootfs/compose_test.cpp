#include "aipack/elf/loader_cache.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include "sample.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include <sys/stat.h>

using namespace aipack;
using namespace aipack::test;

namespace {

Sample sample_for(std::string_view architecture) {
  if (architecture == "arm64") {
    return {elf::Machine::aarch64, "arm64", "aarch64-linux-gnu"};
  }
  if (architecture == "riscv64") {
    return {elf::Machine::riscv64, "riscv64", "riscv64-linux-gnu"};
  }
  return {};
}

std::vector<elf::CacheEntry> cache_of(const rootfs::Composition& composition) {
  const std::string bytes = text_of(composition.tree, "etc/ld.so.cache");
  return elf::read_loader_cache(std::as_bytes(std::span(bytes)));
}

} // namespace

TEST_CASE("Only what the entrypoint reaches is kept, on every architecture", "[rootfs][compose]") {
  const Sample sample = sample_for(GENERATE(as<std::string>{}, "amd64", "arm64", "riscv64"));
  const auto composition = rootfs::compose(sample.request(), {});
  const auto& tree = composition.tree;
  for (const auto& path :
       {std::string("usr/bin/app"), sample.lib("libfoo.so.1.2"), sample.lib("libfoo.so.1"),
        sample.lib("libbar.so.2"), sample.lib("libc.so.6")}) {
    CAPTURE(path);
    CHECK(tree.find(at(path)) != nullptr);
  }
  for (const auto& path :
       {sample.lib("libunused.so.0"), sample.lib("libm.so.6"), sample.lib("gconv/UTF-7.so"),
        std::string("usr/bin/ldd"), std::string("etc/issue")}) {
    CAPTURE(path);
    CHECK(tree.find(at(path)) == nullptr);
  }
  std::vector<std::string> packages;
  for (const auto& package : composition.packages) {
    packages.push_back(package.name);
  }
  CHECK(packages == std::vector<std::string>{"app", "base-files", "foo-base", "libbar2", "libc-bin",
                                             "libc6", "libfoo1"});
  CHECK(reason_of(composition, "/" + sample.lib("libunused.so.0")) ==
        "nothing in the image needs package libunused0");
  CHECK(reason_of(composition, "/" + sample.lib("libm.so.6")) == "not reached from the entrypoint");
  CHECK_THAT(reason_of(composition, "/" + sample.lib("gconv/UTF-7.so")),
             ContainsSubstring("character set"));
  CHECK(reason_of(composition, "/usr/share/doc/libc6/changelog.gz") == "documentation");
  CHECK(reason_of(composition, "/usr/share/libc-bin/nsswitch.conf") ==
        "its content is in /etc/nsswitch.conf");
}

TEST_CASE("A file of the user's wins over one that would be generated", "[rootfs][compose]") {
  const Sample sample;
  auto request = sample.request();
  const auto content = fs::memory_content("mine\n");
  request.extra.push_back(
      {at("etc/ssl/certs/ca-certificates.crt"),
       {.content = content, .reason = fs::Reason{.rule = "file", .detail = ""}}});
  request.extra.push_back(
      {at("etc/passwd"), {.content = content, .reason = fs::Reason{.rule = "file", .detail = ""}}});
  const auto composition = rootfs::compose(request, {});
  CHECK(composition.tree.find(at("etc/passwd"))->content == content);
  CHECK(composition.tree.find(at("etc/ssl/certs/ca-certificates.crt"))->content == content);
}

TEST_CASE("A home that is no directory is refused", "[rootfs][compose]") {
  const Sample sample;
  auto request = sample.request();
  request.extra.push_back(
      {at("home/nonroot"),
       {.content = fs::memory_content("x"), .reason = fs::Reason{.rule = "file", .detail = ""}}});
  CHECK_THROWS_AS(rootfs::compose(request, {}), Error);
}

TEST_CASE("Every entry has a reason, every other file of a package is dropped with one",
          "[rootfs][compose]") {
  const Sample sample;
  const auto request = sample.request();
  const auto composition = rootfs::compose(request, {});
  std::set<std::string> dropped;
  for (const auto& item : composition.dropped) {
    CHECK_FALSE(item.reason.empty());
    dropped.insert(item.what);
  }
  for (const auto& [path, entry] : composition.tree.entries()) {
    CAPTURE(path.text());
    REQUIRE(entry.reason);
    CHECK_FALSE(entry.reason->rule.empty());
    CHECK((path.parent().is_root() ||
           composition.tree.find(path.parent())->type == fs::FileType::directory));
    CHECK(entry.mtime <= request.epoch);
  }
  for (const auto& input : request.packages) {
    for (const auto& item : input.file.members) {
      if (item.member.type == fs::FileType::directory || item.member.path.parent().is_root()) {
        continue;
      }
      CAPTURE(item.member.path.text());
      CHECK((composition.tree.find(item.member.path) != nullptr) !=
            dropped.contains(item.member.path.to_string()));
    }
  }
}

TEST_CASE("The order of the packages does not matter", "[rootfs][compose][property]") {
  const Sample sample;
  auto request = sample.request();
  request.packages.push_back(
      PackageBuilder("zz").directory("opt/d", 0700).file("opt/d/x", "same").build());
  request.packages.push_back(
      PackageBuilder("aa").directory("opt/d", 0711).file("opt/d/x", "same").build());
  request.data = {"opt/**"};
  const auto first = rootfs::compose(request, {});
  const std::string expected = listing(first.tree);
  const char* seed_text = std::getenv("AIPACK_TEST_SEED");
  const unsigned seed = seed_text != nullptr
                            ? static_cast<unsigned>(std::strtoul(seed_text, nullptr, 10))
                            : std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 30; ++round) {
    std::shuffle(request.packages.begin(), request.packages.end(), random);
    const auto again = rootfs::compose(request, {});
    REQUIRE(listing(again.tree) == expected);
    REQUIRE(rootfs::write_record(again) == rootfs::write_record(first));
    REQUIRE(again.notes == first.notes);
  }
}

TEST_CASE("The whole root of a small image", "[rootfs][compose][golden]") {
  const std::string actual = listing(rootfs::compose(Sample{}.request(), {}).tree);
  const std::filesystem::path golden = test_data() / "rootfs/small.txt";
  if (std::getenv("AIPACK_UPDATE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(golden.parent_path());
    std::ofstream(golden, std::ios::binary) << actual;
    WARN("skipped: golden file rewritten");
    return;
  }
  std::ifstream file(golden, std::ios::binary);
  const std::string expected{std::istreambuf_iterator<char>(file),
                             std::istreambuf_iterator<char>()};
  CHECK(actual == expected);
}

TEST_CASE("The loader cache has the kept libraries, as ldconfig would enter them",
          "[rootfs][compose]") {
  const Sample sample = sample_for(GENERATE(as<std::string>{}, "amd64", "arm64", "riscv64"));
  const auto entries = cache_of(rootfs::compose(sample.request(), {}));
  std::vector<std::string> paths;
  for (const auto& entry : entries) {
    paths.push_back(entry.path);
  }
  const std::string lib = "/lib/" + sample.triplet + "/";
  CHECK(std::find(paths.begin(), paths.end(), lib + "libfoo.so.1") != paths.end());
  CHECK(std::find(paths.begin(), paths.end(), lib + "libc.so.6") != paths.end());
  CHECK(std::find(paths.begin(), paths.end(), lib + "libunused.so.0") == paths.end());
  // The loader itself, and once more by the link in /lib where the architecture has it there.
  CHECK(entries.size() == (sample.machine == elf::Machine::x86_64 ? 4U : 5U));
}

TEST_CASE("The real ldconfig finds the same libraries in a composed root",
          "[rootfs][compose][interop]") {
  if (std::system("command -v /sbin/ldconfig >/dev/null 2>&1") != 0) {
    WARN("skipped: this machine has no /sbin/ldconfig");
    return;
  }
  Sample sample;
  auto request = sample.request();
  request.packages.push_back(
      PackageBuilder("zlib")
          .file(sample.lib("libz.so.1"), library(sample.machine, "libz.so.1"))
          .file(sample.lib("glibc-hwcaps/x86-64-v3/libz.so.1"),
                library(sample.machine, "libz.so.1"))
          .copyright()
          .build());
  request.packages.push_back(
      PackageBuilder("zdev")
          .link(sample.lib("libz.so"), "libz.so.1")
          .file("usr/local/lib/libfoo.so.1", library(sample.machine, "libfoo.so.1"))
          .copyright()
          .build());
  request.data = {"/" + sample.lib("libz.so"), "/" + sample.lib("libz.so.1"),
                  "/" + sample.lib("glibc-hwcaps"), "/usr/local/lib/libfoo.so.1"};
  const auto composition = rootfs::compose(request, {});
  char name[] = "/tmp/aipack-test-XXXXXX";
  REQUIRE(mkdtemp(name) != nullptr);
  const std::filesystem::path root = name;
  for (const auto& [path, entry] : composition.tree.entries()) {
    const auto place = root / path.text();
    if (entry.type == fs::FileType::directory) {
      std::filesystem::create_directory(place);
    } else if (entry.type == fs::FileType::symlink) {
      std::filesystem::create_symlink(entry.link_target, place);
    } else {
      std::ofstream(place, std::ios::binary) << text_of(composition.tree, path.text());
    }
  }
  std::filesystem::remove(root / "etc/ld.so.cache");
  const std::string command =
      "/sbin/ldconfig -X -r " + root.string() + " >" + root.string() + "/log 2>&1";
  REQUIRE(std::system(command.c_str()) == 0);
  std::ifstream file(root / "etc/ld.so.cache", std::ios::binary);
  const std::string theirs{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::filesystem::remove_all(root);
  CHECK(cache_of(composition) == elf::read_loader_cache(std::as_bytes(std::span(theirs))));
}

TEST_CASE("Accounts, name service and base directories", "[rootfs][compose]") {
  auto request = Sample{}.request();
  SECTION("nonroot") {
    const auto tree = rootfs::compose(request, {}).tree;
    CHECK(text_of(tree, "etc/passwd") ==
          "root:*:0:0:root:/root:/usr/sbin/nologin\nnonroot:*:65532:65532:nonroot:/home/nonroot:/"
          "usr/sbin/nologin\n"
          "nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    CHECK(text_of(tree, "etc/group") ==
          "root:*:0:\ntty:*:5:\nstaff:*:50:\nnonroot:*:65532:\nnogroup:*:65534:\n");
    CHECK(tree.find(at("home/nonroot"))->mode == 0700);
    CHECK(tree.find(at("home/nonroot"))->uid == 65532);
    CHECK(text_of(tree, "etc/nsswitch.conf") == "hosts: files dns\n");
    CHECK(tree.find(at("root"))->mode == 0700);
    CHECK(tree.find(at("tmp"))->mode == 01777);
    CHECK(tree.find(at("etc/os-release"))->link_target == "../usr/lib/os-release");
    CHECK(tree.find(at("etc/resolv.conf")) == nullptr);
    CHECK(tree.find(at("etc/hosts")) == nullptr);
    CHECK(text_of(tree, "usr/lib/locale/C.utf8/LC_CTYPE") == "ctype");
    for (const char* path : {"dev", "proc", "sys", "srv", "opt", "mnt", "media", "etc/opt",
                             "var/opt", "usr/local/bin", "etc/ld.so.conf.d"}) {
      CAPTURE(path);
      CHECK(tree.find(at(path)) != nullptr);
    }
  }
  SECTION("another user") {
    request.user = "1000:100";
    const auto tree = rootfs::compose(request, {}).tree;
    CHECK_THAT(text_of(tree, "etc/passwd"), ContainsSubstring("user:*:1000:100:"));
    CHECK_THAT(text_of(tree, "etc/group"), ContainsSubstring("users:*:100:"));
  }
  SECTION("a name") {
    request.user = "nonroot";
    CHECK_THROWS_WITH(rootfs::compose(request, {}), ContainsSubstring("'nonroot'"));
  }
}

TEST_CASE("The CA bundle is in byte order, with a newline after each certificate",
          "[rootfs][compose]") {
  auto request = Sample{}.request();
  request.packages.push_back(PackageBuilder("ca-certificates", "all")
                                 .file("usr/share/ca-certificates/mozilla/b.crt", "B")
                                 .file("usr/share/ca-certificates/mozilla/B.crt", "BB\n")
                                 .file("usr/share/ca-certificates/mozilla-x/a.crt", "X\n")
                                 .file("usr/share/ca-certificates/readme", "no")
                                 .script("postinst", "#!/bin/sh\nupdate-ca-certificates\n")
                                 .copyright()
                                 .build());
  request.extra = {
      {at("usr/local/share/ca-certificates/mine.crt"), {.content = fs::memory_content("MINE\n")}}};
  const auto composition = rootfs::compose(request, {});
  CHECK(text_of(composition.tree, "etc/ssl/certs/ca-certificates.crt") ==
        "X\nBB\nB\nMINE\n"); // '-' < '/', 'B' < 'b'
  CHECK(composition.tree.find(at("etc/ssl/certs/ca-certificates.crt"))->package ==
        "ca-certificates");
  CHECK(composition.tree.find(at("usr/lib/ssl/cert.pem"))->link_target ==
        "/etc/ssl/certs/ca-certificates.crt");
  CHECK(composition.tree.find(at("usr/lib/ssl/certs"))->link_target == "/etc/ssl/certs");
  CHECK(reason_of(composition, "/usr/share/ca-certificates/mozilla/b.crt") ==
        "its content is in /etc/ssl/certs/ca-certificates.crt");
  CHECK(composition.tree.find(at("var/lib/dpkg/status.d/ca-certificates")) != nullptr);
}

TEST_CASE("The time zone exists when tzdata does", "[rootfs][compose]") {
  auto request = Sample{}.request();
  request.packages.push_back(PackageBuilder("tzdata", "all")
                                 .file("usr/share/zoneinfo/Etc/UTC", "utc")
                                 .link("usr/share/zoneinfo/localtime", "/etc/localtime")
                                 .copyright()
                                 .build());
  CHECK(rootfs::compose(request, {}).tree.find(at("etc/localtime")) == nullptr);
  request.data = {"/usr/share/zoneinfo"};
  const auto tree = rootfs::compose(request, {}).tree;
  CHECK(tree.find(at("etc/localtime"))->link_target == "/usr/share/zoneinfo/Etc/UTC");
  CHECK(tree.resolve(at("usr/share/zoneinfo/localtime")) == at("usr/share/zoneinfo/Etc/UTC"));
}

TEST_CASE("The package database tells scanners of every package with files", "[rootfs][compose]") {
  const Sample sample;
  const auto tree = rootfs::compose(sample.request(), {}).tree;
  CHECK(text_of(tree, "var/lib/dpkg/status.d/libfoo1") ==
        "Package: libfoo1\nStatus: install ok installed\nVersion: 1.0-1\nArchitecture: "
        "amd64\nSource: foo (1.0)\n");
  CHECK(text_of(tree, "var/lib/dpkg/status.d/libc6") ==
        "Package: libc6\nStatus: install ok installed\nVersion: 2.41-12\nArchitecture: "
        "amd64\nConffiles:\n /etc/ld.so.conf.d/x86_64-linux-gnu.conf "
        "ad00ac3f6c8f0dcc1304b8a7d79d3262\n");
  CHECK(text_of(tree, "var/lib/dpkg/status.d/libc6.md5sums") ==
        "0123  usr/lib/x86_64-linux-gnu/libc.so.6\n"); // libm was pruned
  CHECK(tree.find(at("var/lib/dpkg/status.d/libunused0")) == nullptr);
  CHECK(tree.find(at("var/lib/dpkg/status")) == nullptr);
  for (const auto& path : tree.children(at("var/lib/dpkg/status.d"))) {
    const std::string name(path.filename());
    CHECK(tree.find(path)->package == name.substr(0, name.find(".md5sums")));
  }
  // Copyright files, through the link into another package's directory, and the licences they name.
  CHECK(tree.find(at("usr/share/doc/libfoo1"))->link_target == "foo-base");
  CHECK(text_of(tree, "usr/share/doc/foo-base/copyright") == "licence of foo");
  CHECK(text_of(tree, "usr/share/doc/libbar2/copyright") == "licence of libbar2\n");
  CHECK(tree.find(at("usr/share/doc/libunused0")) == nullptr);
  CHECK(text_of(tree, "usr/share/common-licenses/GPL-3") == "GPL");
}

TEST_CASE("What the closure lacks stops the build and names the chain", "[rootfs][compose]") {
  const Sample sample;
  auto request = sample.request();
  const auto failing = [&]() -> Error {
    try {
      (void)rootfs::compose(request, {});
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::internal, "no error"};
  };
  const auto drop_package = [&](std::string_view name) {
    std::erase_if(request.packages,
                  [&](const rootfs::Input& input) { return input.package.name == name; });
  };
  SECTION("a library") {
    drop_package("libbar2");
    const Error error = failing();
    CHECK(error.code() == ErrorCode::unsatisfiable);
    CHECK(error.message() == "cannot compose 'linux/amd64': 'libbar.so.2', needed by "
                             "'/usr/lib/x86_64-linux-gnu/libfoo.so.1.2' (path: /usr/bin/app -> "
                             "/usr/lib/x86_64-linux-gnu/libfoo.so.1.2), is in no selected package");
  }
  SECTION("a library that is elsewhere") {
    drop_package("libbar2");
    request.packages.push_back(
        PackageBuilder("vendor")
            .file("opt/vendor/libbar.so.2", library(sample.machine, "libbar.so.2"))
            .build());
    CHECK_THAT(failing().hint(), ContainsSubstring("/opt/vendor/libbar.so.2"));
  }
  SECTION("the C library, interpreter included") {
    drop_package("libc6");
    CHECK_THAT(failing().message(), ContainsSubstring("'/lib64/ld-linux-x86-64.so.2'") &&
                                        ContainsSubstring("'libc.so.6'"));
  }
  SECTION("the program") {
    request.entrypoint = {"/usr/bin/none"};
    CHECK(failing().code() == ErrorCode::not_found);
  }
  SECTION("a program of another machine") {
    request.extra = {
        {at("usr/bin/app"), {.mode = 0755, .content = fs::memory_content([] {
                                             const auto bytes = program(elf::Machine::riscv64, {});
                                             return std::string(
                                                 reinterpret_cast<const char*>(bytes.data()),
                                                 bytes.size());
                                           }())}}};
    CHECK(failing().code() == ErrorCode::corrupt);
  }
  SECTION("a library to be opened at run time") {
    request.dlopened = {"/usr/lib/x86_64-linux-gnu/libnone.so"};
    CHECK(failing().code() == ErrorCode::not_found);
  }
}

TEST_CASE("Libraries opened at run time are roots of the closure", "[rootfs][compose]") {
  const Sample sample;
  auto request = sample.request();
  request.dlopened = {"/lib/" + sample.triplet + "/libunused.so.*", "/usr/lib/plugins/*.so"};
  const auto composition = rootfs::compose(request, {});
  const auto* entry = composition.tree.find(at(sample.lib("libunused.so.0")));
  REQUIRE(entry != nullptr);
  CHECK(entry->reason->rule == "dlopen");
  CHECK(entry->reason->from == at("usr/bin/app"));
  CHECK(composition.notes ==
        std::vector<std::string>{
            "nothing matches /usr/lib/plugins/*.so, which may be opened at run time"});
}

TEST_CASE("A companion that libc opens by itself is kept when there is one", "[rootfs][compose]") {
  const Sample sample;
  auto request = sample.request();
  request.packages.push_back(
      PackageBuilder("libgcc-s1")
          .file(sample.lib("libgcc_s.so.1"), library(sample.machine, "libgcc_s.so.1"))
          .copyright()
          .build());
  const auto composition = rootfs::compose(request, {});
  CHECK(composition.tree.find(at(sample.lib("libgcc_s.so.1")))->reason->from ==
        at(sample.lib("libc.so.6")));
}

TEST_CASE("A script as entrypoint brings its interpreter", "[rootfs][compose]") {
  const Sample sample;
  auto request = sample.request();
  const auto script = [&](std::string text) {
    request.packages.push_back(
        PackageBuilder("script").file("usr/bin/start", std::move(text), 0755).copyright().build());
    request.entrypoint = {"start"};
  };
  SECTION("directly") {
    script("#! /bin/app -x\n");
    CHECK(rootfs::compose(request, {}).tree.find(at("usr/bin/app"))->reason ==
          fs::Reason{"interpreter", "#! /bin/app", at("usr/bin/start")});
  }
  SECTION("through env") {
    request.packages.push_back(
        PackageBuilder("coreutils")
            .file("usr/bin/env", program(sample.machine, {"libc.so.6"}), 0755)
            .copyright()
            .build());
    script("#!/usr/bin/env -S app\n");
    const auto tree = rootfs::compose(request, {}).tree;
    CHECK(tree.find(at("usr/bin/app")) != nullptr);
    CHECK(tree.find(at("usr/bin/env")) != nullptr);
  }
  SECTION("that is missing") {
    script("#!/usr/bin/python3\n");
    CHECK_THROWS_WITH(rootfs::compose(request, {}),
                      ContainsSubstring("its interpreter '/usr/bin/python3'"));
  }
  SECTION("that is itself") {
    script("#!/usr/bin/start\n");
    CHECK_THROWS_WITH(rootfs::compose(request, {}), ContainsSubstring("script of a script"));
  }
}

TEST_CASE("A script's interpreter comes with its modules", "[rootfs][compose]") {
  const Sample sample;
  auto request = sample.request();
  request.packages.push_back(
      PackageBuilder("snake")
          .field("Pre-Depends", "snake-modules")
          .file("usr/bin/snake3.13", program(sample.machine, {"libc.so.6"}), 0755)
          .link("usr/bin/snake3", "snake3.13")
          .copyright()
          .build());
  request.packages.push_back(PackageBuilder("snake-modules", "all")
                                 .file("usr/lib/snake3.13/encodings.sn", "x")
                                 .copyright()
                                 .build());
  request.packages.push_back(PackageBuilder("script")
                                 .file("usr/bin/start", "#!/usr/bin/snake3 -I\n", 0755)
                                 .copyright()
                                 .build());
  request.entrypoint = {"start"};
  const auto composition = rootfs::compose(request, {});
  REQUIRE(composition.tree.find(at("usr/lib/snake3.13/encodings.sn")) != nullptr);
  CHECK(composition.tree.find(at("usr/lib/snake3.13/encodings.sn"))->reason->detail ==
        "snake depends on snake-modules");
  CHECK(composition.tree.find(at("usr/bin/snake3"))->reason->rule == "link");
}

TEST_CASE(
    "A whole package keeps everything but documentation, with dependencies that are no libraries",
    "[rootfs][compose]") {
  const Sample sample;
  auto request = sample.request();
  request.packages.push_back(
      PackageBuilder("tool")
          .field("Depends", "tool-data (>= 1), libc6")
          .file("usr/bin/tool", program(sample.machine, {"libunused.so.0"}), 0755)
          .file("usr/share/man/man1/tool.1.gz", "man")
          .copyright()
          .build());
  request.packages.push_back(
      PackageBuilder("tool-data", "all").file("usr/share/tool/data", "data").copyright().build());
  request.whole_packages = {"tool"};
  const auto composition = rootfs::compose(request, {});
  CHECK(composition.tree.find(at("usr/bin/tool"))->reason->rule == "package");
  CHECK(text_of(composition.tree, "usr/share/tool/data") == "data");
  CHECK(composition.tree.find(at(sample.lib("libunused.so.0"))) != nullptr);
  CHECK(composition.tree.find(at("usr/share/man/man1/tool.1.gz")) == nullptr);
  CHECK(composition.tree.find(at(sample.lib("libm.so.6"))) == nullptr); // libc6 is a library
}

TEST_CASE("A library of the user's gets the link by which the loader finds it",
          "[rootfs][compose]") {
  const Sample sample;
  auto request = sample.request();
  std::erase_if(request.packages,
                [](const rootfs::Input& input) { return input.package.name == "libbar2"; });
  const auto bytes = library(sample.machine, "libbar.so.2");
  const auto content =
      fs::memory_content({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  request.extra = {{at("usr/local/lib/libbar-mine.so"), {.content = content}}};
  const auto composition = rootfs::compose(request, {});
  CHECK(composition.tree.find(at("usr/local/lib/libbar.so.2"))->link_target == "libbar-mine.so");
  CHECK(rootfs::why(composition.tree, at("usr/local/lib/libbar.so.2")).size() == 2);
}

TEST_CASE("tmpfiles.d of packages in the image is applied", "[rootfs][compose]") {
  auto request = Sample{}.request();
  request.packages.push_back(
      PackageBuilder("daemon")
          .file("usr/bin/daemon", program(elf::Machine::x86_64, {"libc.so.6"}), 0755)
          .file("usr/lib/tmpfiles.d/daemon.conf",
                "# state\nd /var/run/daemon 2750 www-data adm -\nL /run/link - - - - ../x\nz "
                "/usr/bin/x\nd /run/other 0755 nobody-knows -\n")
          .copyright()
          .build());
  CHECK(rootfs::compose(request, {}).tree.find(at("run/daemon")) == nullptr);
  request.entrypoint = {"daemon"};
  const auto composition = rootfs::compose(request, {});
  const auto* directory = composition.tree.find(at("run/daemon"));
  REQUIRE(directory != nullptr);
  CHECK(directory->mode == 02750);
  CHECK(directory->uid == 33);
  CHECK(directory->gid == 4);
  CHECK(composition.tree.find(at("run/link"))->link_target == "../x");
  CHECK(composition.tree.find(at("run/other")) == nullptr);
  REQUIRE(composition.notes.size() == 2);
  CHECK_THAT(composition.notes[0],
             ContainsSubstring("'d /run/other 0755 nobody-knows -' is not applied"));
}

TEST_CASE("Dependencies that only scripts use are recorded", "[rootfs][compose]") {
  auto request = Sample{}.request();
  request.assumed = {"debconf"};
  CHECK(reason_of(rootfs::compose(request, {}), "package debconf") ==
        "only maintainer scripts use it");
}

TEST_CASE("why gives the chain from the entrypoint, whatever name a library is called by",
          "[rootfs][compose]") {
  const Sample sample;
  const auto composition = rootfs::compose(sample.request(), {});
  const auto record = rootfs::read_record(rootfs::write_record(composition), "record");
  for (const auto& path : {sample.lib("libbar.so.2"), "lib/" + sample.triplet + "/libbar.so.2"}) {
    for (const auto& chain :
         {rootfs::why(composition.tree, at(path)), rootfs::why(record, at(path))}) {
      REQUIRE(chain.size() == 3);
      CHECK(chain[0].path == at("usr/bin/app"));
      CHECK(chain[0].reason.rule == "entrypoint");
      CHECK(chain[1].path == at(sample.lib("libfoo.so.1.2")));
      CHECK(chain[2].path == at(sample.lib("libbar.so.2")));
      CHECK(chain[2].reason.detail == "DT_NEEDED libbar.so.2");
      CHECK(chain[2].package == "libbar2");
    }
  }
  CHECK_THROWS_WITH(rootfs::why(record, at("usr/bin/none")), ContainsSubstring("'/usr/bin/none'"));
}

TEST_CASE("A composition can be cancelled", "[rootfs][compose]") {
  std::stop_source stop;
  stop.request_stop();
  try {
    (void)rootfs::compose(Sample{}.request(), Operation{.stop = stop.get_token()});
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
}
