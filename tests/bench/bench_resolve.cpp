// Whole processes that resolve a request over real Packages files: without any cache, from the
// parsed cache, from the kept answer, and apt-get on the same files. Method and limits: README.md.
#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/solve/solve.hpp"

#include "whole_process.hpp"

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/core.h>

namespace {

using namespace aipack;

constexpr std::string_view usage =
    R"(usage: bench_resolve --index SUITE=FILE [--index …] [--architecture ARCH] [--rounds N]
                     [--apt-root DIR] [--print] PACKAGE...

  --index         an uncompressed Packages file, in order of preference
  --architecture  Debian's name (default amd64)
  --rounds        measured rounds (default 9)
  --apt-root      a root made by tests/interop/solver_vs_apt.py --make-root DIR from the same files: adds apt-get --simulate
  --print         resolve once and print the packages instead
)";

struct Arguments {
  std::vector<std::pair<std::string, std::string>> indexes;
  std::string architecture = "amd64";
  unsigned rounds = 9;
  std::string apt_root;
  std::string once_cache; ///< internal: resolve once with this cache, in the measured child
  bool once = false;
  bool print = false;
  std::vector<std::string> assume;
  std::vector<std::string> packages;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == argc) {
        throw Error(ErrorCode::invalid_input, "cannot read arguments: " + word + " needs a value");
      }
      return argv[++i];
    };
    if (word == "--index") {
      const std::string text = value();
      const auto equals = text.find('=');
      if (equals == std::string::npos) {
        throw Error(ErrorCode::invalid_input, "cannot read arguments: --index takes SUITE=FILE");
      }
      arguments.indexes.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    } else if (word == "--architecture") {
      arguments.architecture = value();
    } else if (word == "--rounds") {
      arguments.rounds = static_cast<unsigned>(parse_decimal(value()).value_or(9));
    } else if (word == "--apt-root") {
      arguments.apt_root = value();
    } else if (word == "--assume") {
      arguments.assume.push_back(value());
    } else if (word == "--print") {
      arguments.print = true;
    } else if (word == "--once") {
      arguments.once = true;
      arguments.once_cache = value();
    } else {
      arguments.packages.push_back(word);
    }
  }
  return arguments;
}

// SUITE=FILE@DIGEST:SIZE: the child is spared hashing the index, which in aipack was verified when
// it was downloaded.
deb::PackageIndex make_index(const Arguments& arguments) {
  deb::PackageIndex index;
  index.platform = oci::Platform::parse("linux/" + arguments.architecture);
  for (const auto& [suite, place] : arguments.indexes) {
    const auto at = place.rfind('@');
    const std::filesystem::path file = place.substr(0, at);
    const auto digest = at == std::string::npos ? [&] {
            io::FileSource source(file);
            return codec::sha256(source, {});
        }()
                                                    : oci::Digest::parse(place.substr(at + 1));
    index.indexes.push_back({.source = {.mirror = "http://ftp.debian.org/debian", .suite = suite},
                             .component = "main",
                             .architecture = arguments.architecture,
                             .release_path = "main/binary-" + arguments.architecture + "/Packages",
                             .digest = digest,
                             .size_bytes = std::filesystem::file_size(file),
                             .file = file});
  }
  return index;
}

int resolve_once(const Arguments& arguments) {
  const solve::Outcome outcome = solve::resolve(
      make_index(arguments), {.install = arguments.packages, .assume_installed = arguments.assume},
      {.cache_dir = arguments.once_cache}, {});
  if (const auto* why = std::get_if<solve::Unsolvable>(&outcome)) {
    for (const std::string& line : why->explanation) {
      fmt::print("{}\n", line);
    }
    return 3;
  }
  for (const auto& choice : std::get<solve::Solution>(outcome).choices) {
    fmt::print("{} {} {} {} <- {} ({})\n", choice.package.name, choice.package.version,
               choice.package.architecture, choice.package.source_suite,
               choice.required_by.empty() ? "request" : choice.required_by, choice.relation);
  }
  return 0;
}

int run(int argc, char** argv) {
  Arguments arguments = parse(argc, argv);
  if (arguments.indexes.empty() || arguments.packages.empty()) {
    fmt::print(stderr, "{}", usage);
    return 2;
  }
  if (arguments.once || arguments.print) {
    return resolve_once(arguments);
  }
  std::uint64_t packages = 0;
  const deb::PackageIndex index = make_index(arguments);
  std::vector<std::string> child{std::filesystem::read_symlink("/proc/self/exe").string(),
                                 "--architecture", arguments.architecture};
  for (const deb::IndexFile& file : index.indexes) {
    child.insert(child.end(),
                 {"--index", fmt::format("{}={}@{}", file.source.suite, file.file.string(),
                                         file.digest.to_string())});
    const io::Mapping mapping(file.file);
    const std::string_view text = io::as_text(mapping.bytes());
    for (std::size_t at = 0; (at = text.find("\nPackage: ", at)) != std::string_view::npos; ++at) {
      ++packages;
    }
    packages += text.starts_with("Package: ") ? std::uint64_t{1} : 0;
  }
  for (const std::string& name : arguments.assume) {
    child.insert(child.end(), {"--assume", name});
  }
  child.insert(child.end(), arguments.packages.begin(), arguments.packages.end());
  const auto child_with = [&](const std::filesystem::path& cache) {
    std::vector<std::string> command = child;
    command.insert(command.begin() + 1, {"--once", cache.string()});
    return command;
  };

  const io::TempDirectory scratch;
  const std::filesystem::path cold = scratch.path() / "cold";
  const std::filesystem::path parsed = scratch.path() / "parsed";
  const std::filesystem::path answered = scratch.path() / "answered";
  std::vector<bench::Case> cases{
      {"no cache", child_with(cold), [&] { std::filesystem::remove_all(cold); }},
      {"parsed cache (.solv)", child_with(parsed),
       [&] { std::filesystem::remove_all(parsed / "answers"); }},
      {"kept answer", child_with(answered), {}},
  };
  if (!arguments.apt_root.empty()) {
    std::vector<std::string> apt{"env",        "APT_CONFIG=" + arguments.apt_root + "/apt.conf",
                                 "LC_ALL=C",   "apt-get",
                                 "--simulate", "--quiet=2",
                                 "install"};
    apt.insert(apt.end(), arguments.packages.begin(), arguments.packages.end());
    const std::filesystem::path apt_cache =
        std::filesystem::path(arguments.apt_root) / "var/cache/apt";
    cases.push_back({"apt-get, no cache", apt, [apt_cache] {
                       std::filesystem::remove(apt_cache / "pkgcache.bin");
                       std::filesystem::remove(apt_cache / "srcpkgcache.bin");
                     }});
    cases.push_back({"apt-get, its cache", apt, {}});
  }
  bench::print_table(fmt::format("resolve '{}' over {} packages, {} rounds",
                                 fmt::format("{}", arguments.packages.front()), packages,
                                 arguments.rounds),
                     bench::measure_interleaved(cases, arguments.rounds));
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_resolve: {}\n", error.what());
    return 70;
  }
}
