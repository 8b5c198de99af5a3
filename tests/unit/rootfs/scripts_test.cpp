#include "aipack/core/error.hpp"

#include "sample.hpp"
#include "scripts.hpp"
#include "shell.hpp"
#include "support/catch.hpp"

using namespace aipack;
using rootfs::classify_script;
using Kind = rootfs::ScriptVerdict::Kind;

TEST_CASE("Scripts that change nothing on a first installation are recognised",
          "[rootfs][scripts]") {
  const auto text = GENERATE(
      as<std::string>{}, "#!/bin/sh\nset -e\nexit 0\n",
      // dh_makeshlibs of old
      "#!/bin/sh\nset -e\n# Automatically added by dh_makeshlibs/13\nif [ \"$1\" = \"configure\" "
      "]; then\n\tldconfig\nfi\n# End automatically added section\n",
      // a service
      "#!/bin/sh\nset -e\n# Automatically added by dh_installsystemd/13.24\nsystemctl "
      "daemon-reload >x\n# End automatically added section\n",
      // libselinux1
      "#!/bin/sh\nset -e\nif [ \"$1\" = configure ] && dpkg --compare-versions \"$2\"  lt 3.8-2 ; "
      "then\n  rm -f /etc/selinux/*.bin\nfi\n",
      // only on an upgrade
      "#!/bin/sh\nif [ -n \"$2\" ]; then\n chown root:root /etc/x\nfi\n",
      "#!/bin/sh\ncase \"$1\" in\n upgrade|abort-upgrade) touch /x ;;\n configure) : ;;\n *) mkdir "
      "/y ; exit 1 ;;\nesac\n",
      "#!/bin/sh\nif [ \"$1\" = triggered ]; then\n  run_cache_builder\nelse\n  true\nfi\n",
      "#!/bin/sh\nif dpkg --compare-versions \"$2\" lt-nl 1.2; then mv /a /b; fi\n",
      "#!/bin/sh\nhelper() { echo \"$@\" >&2; }\nx=$(command -v py3compile)\nhelper $x 2>&1 "
      ">/dev/null\n",
      "#!/bin/sh\nif command -v py3compile >/dev/null && command -p -V sh; then command echo; fi\n",
      // what a function is called with says nothing about the rest
      "#!/bin/sh\nquiet() { echo \"$@\" >/dev/null; }\nif [ -n \"$2\" ]; then\n mkdir /x\nfi\n"
      "f()\n{\n case $1 in *) echo ;; esac\n}\n"
      "if [ \"$1\" = upgrade ]; then\n mkdir /x\nfi\n",
      "#!/bin/sh\nset -e -o errexit\nf() { shift; }\nif [ \"$1\" = upgrade ]; then mkdir /x; fi\n",
      "#!/bin/sh\ncat <<EOF\nmkdir /not/a/command\nEOF\necho 'mkdir /x'\n");
  CAPTURE(text);
  const auto verdict = classify_script("some-package", "postinst", text);
  CHECK(verdict.kind == Kind::no_op);
  CHECK(verdict.digest == oci::Digest::of(text).to_string());
}

TEST_CASE("Scripts that change the root are not understood, and the verdict names the command",
          "[rootfs][scripts]") {
  const auto [text, what] = GENERATE(table<std::string, std::string>({
      {"#!/bin/sh\nmkdir -p /var/lib/x\n", "mkdir -p /var/lib/x"},
      {"#!/bin/sh\nif [ \"$1\" = configure ]; then\n  adduser --system x\nfi\n",
       "adduser --system x"},
      {"#!/bin/sh\nif ! [ \"$1\" = upgrade ]; then\n  chmod 4755 /usr/bin/x\nfi\n",
       "chmod 4755 /usr/bin/x"},
      {"#!/bin/sh\nif [ -n \"$2\" ] || [ -e /x ]; then\n  setcap x /y\nfi\n", "setcap x /y"},
      {"#!/bin/sh\nif [ -n \"$2\" ]; then\n :\nelse\n  setcap x /y\nfi\n", "setcap x /y"},
      {"#!/bin/sh\necho hello > /etc/x\n", "echo hello >/etc/x"},
      {"#!/bin/sh\nfor i in a b; do echo $i; done > /etc/x\n", "/etc/x"},
      {"#!/bin/sh\nx=$(sed -i s/a/b/ /etc/x)\n", "sed -i"},
      {"#!/bin/sh\nsed -e s/a/b/ -i /etc/x\n", "sed -e"},
      {"#!/bin/sh\ncase \"$1\" in configure) glib-compile-schemas /x ;; esac\n",
       "glib-compile-schemas /x"},
      {"#!/bin/sh\n$hook run\n", "$hook run"},
      {"#!/bin/sh\n. /usr/share/x/functions\n", "/usr/share/x/functions"},
      {"#!/bin/sh\neval \"$x\"\n", "eval"},
      {"#!/bin/sh\ndpkg-divert --add --rename /usr/bin/x\n", "dpkg-divert"},
      {"#!/bin/sh\n# Automatically added by dh_unheard_of/1\nmknod /dev/x\n# End automatically "
       "added section\n",
       "mknod /dev/x"},
      // "$1" of a function is not the script's
      {"#!/bin/sh\nf() {\n if [ \"$1\" = upgrade ]; then\n mkdir /x\n fi\n}\nf upgrade\n",
       "mkdir /x"},
      {"#!/bin/sh\nf ()\n{\n if [ -n \"$2\" ]; then\n mkdir /x\n fi\n}\n", "mkdir /x"},
      {"#!/bin/sh\nf() (\n case \"$1\" in upgrade) mkdir /x ;; esac\n)\n", "mkdir /x"},
      {"#!/bin/sh\nf() { x=$(if [ -n \"$2\" ]; then mkdir /x; fi); }\n", "mkdir /x"},
      {"#!/bin/sh\nset -- upgrade\nif [ \"$1\" = upgrade ]; then mkdir /x; fi\n", "mkdir /x"},
      {"#!/bin/sh\nif true; then shift; fi\ncase \"$1\" in upgrade) mkdir /x ;; esac\n",
       "mkdir /x"},
      // only the last command of a condition decides
      {"#!/bin/sh\nif [ -n \"$2\" ]; true; then mkdir /x; fi\n", "mkdir /x"},
      {"#!/bin/sh\nif [ -n \"$2\" ] | cat; then mkdir /x; fi\n", "mkdir /x"},
      {"#!/bin/sh\ncommand mkdir /x\n", "command mkdir /x"},
      {"#!/bin/sh\nmkdir() { :; }\ncommand -p -- mkdir /x\n", "command -p -- mkdir /x"},
      {"#!/bin/sh\ncommand command adduser x\n", "adduser x"},
      {"#!/usr/bin/perl\nunlink 1;\n", "not a shell script"},
      {"#!/bin/sh\necho 'open\n", "quote that does not end"},
      {"#!/bin/sh\nif true; then\nfi fi\n", "do not match"},
  }));
  CAPTURE(text);
  const auto verdict = classify_script("some-package", "postinst", text);
  CHECK(verdict.kind == Kind::unsupported);
  CHECK_THAT(verdict.effect, ContainsSubstring(what));
}

TEST_CASE("What never runs is a no-op, what is known is emulated", "[rootfs][scripts]") {
  CHECK(classify_script("p", "postrm", "#!/bin/sh\nrm -rf /; mkdir /x\n").kind == Kind::no_op);
  CHECK(classify_script("p", "config", "#!/bin/sh\nmkdir /x\n").kind == Kind::no_op);
  CHECK(classify_script("ca-certificates", "postinst", "anything").kind == Kind::emulated);
  CHECK(classify_script("python3.13-minimal", "postinst", "anything").kind == Kind::no_op);
  CHECK(classify_script("python3.13-minimal-not", "postinst", "#!/bin/sh\nmkdir /x").kind ==
        Kind::unsupported);
}

TEST_CASE("An unknown script stops the build only for a package that is in the image",
          "[rootfs][scripts]") {
  test::Sample sample;
  auto request = sample.request();
  const auto with_script = [&](std::string name, const rootfs::Input& original) {
    for (auto& input : request.packages) {
      if (input.package.name == name) {
        input = original;
        input.file.scripts["postinst"] = "#!/bin/sh\nchown foo /usr/bin/app\n";
      }
    }
  };
  SECTION("in the image") {
    with_script("libbar2", sample.libbar());
    try {
      (void)rootfs::compose(request, {});
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::unsupported);
      CHECK_THAT(error.message(), ContainsSubstring("postinst of package 'libbar2'") &&
                                      ContainsSubstring("chown foo /usr/bin/app"));
      CHECK_THAT(error.hint(), ContainsSubstring("waive"));
    }
  }
  SECTION("waived") {
    with_script("libbar2", sample.libbar());
    request.waived_scripts = {"libbar2"};
    const auto composition = rootfs::compose(request, {});
    REQUIRE(composition.scripts.size() == 2);
    CHECK(composition.scripts[1].kind == Kind::unsupported);
    CHECK_THAT(composition.scripts[1].effect, ContainsSubstring("as asked for"));
  }
  SECTION("not in the image") {
    with_script("libunused0", sample.unused());
    const auto composition = rootfs::compose(request, {});
    CHECK(composition.scripts.back().kind == Kind::no_op);
    CHECK_THAT(composition.scripts.back().effect, ContainsSubstring("no file of the package"));
  }
}

TEST_CASE("update-alternatives is read, not run", "[rootfs][scripts]") {
  const std::string openblas = "#! /bin/sh\nset -e\nupdate-alternatives --install "
                               "/usr/lib/x86_64-linux-gnu/libblas.so.3 \\\n"
                               "                    libblas.so.3-x86_64-linux-gnu \\\n\t "
                               "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3 100\n";
  const auto parsed = rootfs::parse_alternatives(openblas);
  REQUIRE(parsed.size() == 1);
  CHECK(parsed[0].master.link == "/usr/lib/x86_64-linux-gnu/libblas.so.3");
  CHECK(parsed[0].master.name == "libblas.so.3-x86_64-linux-gnu");
  CHECK(parsed[0].priority == 100);
  CHECK(classify_script("libopenblas0-pthread", "postinst", openblas).kind == Kind::emulated);
  const auto mawk = rootfs::parse_alternatives(
      "if [ \"$1\" = \"configure\" ]; then\n update-alternatives --install /usr/bin/awk awk "
      "/usr/bin/mawk 5 \\\n"
      "  --slave /usr/share/man/man1/awk.1.gz awk.1.gz /usr/share/man/man1/mawk.1.gz\nfi\n");
  REQUIRE(mawk.size() == 1);
  REQUIRE(mawk[0].slaves.size() == 1);
  CHECK(mawk[0].slaves[0].link == "/usr/share/man/man1/awk.1.gz");
  CHECK(rootfs::parse_alternatives("update-alternatives --remove x /usr/bin/x\nupdate-alternatives "
                                   "--install /usr/bin/$x x /usr/bin/y 1\n"
                                   "update-alternatives --install /usr/bin/x ../x /usr/bin/y 1\n")
            .empty());
}

TEST_CASE("The alternative of the highest priority is linked both ways", "[rootfs][scripts]") {
  test::Sample sample;
  auto request = sample.request();
  const auto blas = [&](std::string name, std::string directory, int priority) {
    return test::PackageBuilder(name)
        .file(sample.lib(directory + "/libblas.so.3"),
              test::library(sample.machine, "libblas.so.3"))
        .script("postinst", "update-alternatives --install /" + sample.lib("libblas.so.3") +
                                " libblas.so.3-x /" + sample.lib(directory + "/libblas.so.3") +
                                " " + std::to_string(priority))
        .copyright()
        .build();
  };
  request.packages.push_back(blas("libblas3", "blas", 10));
  request.packages.push_back(blas("libopenblas0", "openblas", 100));
  request.packages.push_back(
      test::PackageBuilder("solver")
          .file("usr/bin/solver", test::program(sample.machine, {"libblas.so.3"}), 0755)
          .copyright()
          .build());
  request.entrypoint = {"solver"};
  const auto composition = rootfs::compose(request, {});
  CHECK(composition.tree.find(test::at(sample.lib("libblas.so.3")))->link_target ==
        "/etc/alternatives/libblas.so.3-x");
  CHECK(composition.tree.find(test::at("etc/alternatives/libblas.so.3-x"))->link_target ==
        "/" + sample.lib("openblas/libblas.so.3"));
  CHECK(composition.tree.find(test::at(sample.lib("blas/libblas.so.3"))) == nullptr);
  CHECK(std::ranges::find(composition.packages, "libblas3", &rootfs::KeptPackage::name) ==
        composition.packages.end());
}

TEST_CASE("The shell reader survives hostile texts", "[rootfs][scripts]") {
  std::string deep = "x";
  for (int i = 0; i < 200; ++i) {
    deep = "$(" + deep + ")";
  }
  CHECK_FALSE(rootfs::parse_shell(deep, "postinst").trouble.empty());
  CHECK_FALSE(rootfs::parse_shell(std::string(2U << 20U, 'x'), "postinst").trouble.empty());
  for (const std::string text : {"case", "case x", "case x in", "case x in a",  ";;",   ")",
                                 "fi",   "done",   "then",      "cat <<EOF\nx", "a >",  "${x",
                                 "$(x",  "`x",     "\\",        "for",          "x()",  "}",
                                 "<<",   "if",     "elif",      "else",         "esac", "done >"}) {
    CAPTURE(text);
    CHECK_NOTHROW(rootfs::parse_shell(text, "postinst"));
  }
}
