// A Packages index made of any bytes: an outcome that is the same twice, or an error of the reader;
// never an internal one.
#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/solve/solve.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack;
  static const io::TempDirectory directory;
  const std::filesystem::path file = directory.path() / "Packages";
  const auto bytes = std::as_bytes(std::span(data, size));
  io::write_file_atomically(file, bytes);
  deb::PackageIndex index;
  index.platform = oci::Platform::parse("linux/amd64");
  index.indexes.push_back({.source = {.mirror = "http://deb.example/debian", .suite = "trixie"},
                           .component = "main",
                           .architecture = "amd64",
                           .release_path = "main/binary-amd64/Packages",
                           .digest = oci::Digest::of(bytes),
                           .size_bytes = size,
                           .file = file});
  const solve::Request request{.install = {"a", "b | c (>= 1)"}, .assume_installed = {"d"}};
  try {
    const solve::Outcome outcome = solve::resolve(index, request, {}, {});
    if (const auto* why = std::get_if<solve::Unsolvable>(&outcome);
        why != nullptr && (why->explanation.empty() || why->explanation.size() > 10)) {
      std::abort();
    }
    if (solve::resolve(index, request, {}, {}) != outcome) {
      std::abort();
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) {
      std::abort();
    }
  }
  return 0;
}
