// Fills DIRECTORY/include with the headers that aipack-serve is compiled against, from the signed
// Debian archive.
#include "aipack/archive/tar_reader.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/core/error.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/deb/package_file.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/solve/solve.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>

#include <fmt/format.h>

namespace {

using namespace aipack;
namespace stdfs = std::filesystem;

constexpr std::string_view suite = "trixie";
constexpr std::uint64_t max_header_bytes = std::uint64_t{16} << 20;
constexpr std::uint64_t max_tarball_bytes = std::uint64_t{256} << 20;

/// A package and the folder of its headers, which becomes `include/`.
struct HeaderPackage {
  std::string_view name;
  std::string_view folder;
};
constexpr HeaderPackage packages[] = {{"libonnxruntime-dev", "usr/include/onnxruntime"},
                                      {"nlohmann-json3-dev", "usr/include"}};
constexpr std::string_view source_package = "cpp-httplib";

deb::Mirrors mirrors() {
  const char* value = std::getenv("AIPACK_MIRROR"); // NOLINT(concurrency-mt-unsafe)
  return deb::choose_mirrors(value == nullptr ? "" : value, "AIPACK_MIRROR");
}

bool skips_incomplete_suites() {
  const char* value = std::getenv("AIPACK_SKIP_INCOMPLETE_SUITES"); // NOLINT(concurrency-mt-unsafe)
  return value != nullptr && std::string_view(value) == "1";
}

/// The newest version of one package; what it depends on is solved for and not used, since only its
/// headers are.
deb::Package find_package(const deb::PackageIndex& index, std::string_view name,
                          const stdfs::path& cache, const Operation& op) {
  const auto outcome =
      solve::resolve(index, {.install = {std::string(name)}}, {.cache_dir = cache}, op);
  if (const auto* why = std::get_if<solve::Unsolvable>(&outcome)) {
    throw Error(ErrorCode::unsatisfiable,
                fmt::format("cannot choose '{}': {}", name, fmt::join(why->explanation, "; ")));
  }
  for (const auto& choice : std::get<solve::Solution>(outcome).choices) {
    if (choice.package.name == name) {
      return choice.package;
    }
  }
  throw Error(ErrorCode::internal, fmt::format("cannot choose '{}': the solution lacks it", name));
}

void unpack_headers(const deb::PackageFile& package, std::string_view folder,
                    const stdfs::path& include, const Operation& op) {
  const auto root = fs::RootPath::parse(folder);
  for (const auto& item : package.members) {
    if (!item.content || !item.member.path.is_within(root)) {
      continue;
    }
    const auto source = item.content->open();
    const auto bytes = io::read_all(*source, max_header_bytes, item.member.path.to_string());
    op.check();
    io::write_file_atomically(include / item.member.path.text().substr(root.text().size() + 1),
                              bytes);
  }
}

/// Regular files of a source tarball; `strip` says how many leading parts of their paths go.
void unpack_tarball(const stdfs::path& tarball, std::size_t strip, const stdfs::path& into) {
  archive::TarReader reader(codec::make_decompressor(std::make_unique<io::FileSource>(tarball),
                                                     max_tarball_bytes, tarball.string()),
                            tarball.string());
  while (const auto member = reader.next()) {
    auto path = stdfs::path(member->path.text());
    for (std::size_t i = 0; i < strip; ++i) {
      path = path.lexically_relative(*path.begin());
    }
    if (member->type == fs::FileType::regular) {
      io::write_file_atomically(
          into / path, io::read_all(reader.content(), max_header_bytes, member->path.to_string()));
    }
  }
}

void fill(const stdfs::path& directory) {
  const Operation op;
  const auto transport = http::make_transport();
  const auto source =
      deb::make_package_source(*transport, {.cache_dir = directory / "cache",
                                            .verify = {.now = std::time(nullptr)},
                                            .skip_incomplete_suites = skips_incomplete_suites()});
  const auto sources = deb::sources_for(suite, mirrors());
  const auto index = source->snapshot(sources, oci::Platform::parse("linux/amd64"), op);
  for (const auto& wanted : packages) {
    const auto package = find_package(index, wanted.name, directory / "cache", op);
    const auto file = source->fetch(package, op);
    unpack_headers(deb::open_package(file, package.digest, directory / "cache" / "unpacked", op),
                   wanted.folder, directory / "include", op);
    fmt::print("{} {} ({})\n", package.name, package.version, package.digest.to_string());
  }
  // Upstream's tree and Debian's patches, which carry the security fixes; the build applies them.
  unpack_tarball(source->fetch_source_file(sources, source_package, ".orig.tar.xz", op), 1,
                 directory / "cpp-httplib");
  unpack_tarball(source->fetch_source_file(sources, source_package, ".debian.tar.xz", op), 0,
                 directory / "cpp-httplib");
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: aipack_serve_sdk DIRECTORY\n");
    return 2;
  }
  try {
    fill(argv[1]);
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "aipack_serve_sdk: error: {}\n", error.message());
    for (const auto& frame : error.context()) {
      fmt::print(stderr, "  {}\n", frame);
    }
    return 1;
  }
}
