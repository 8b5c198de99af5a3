#include "aipack/core/error.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "open_beneath.hpp"
#include "support/catch.hpp"
#include "support/temp.hpp"

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace aipack;
namespace stdfs = std::filesystem;

namespace {

/// root/sub/weights.bin, and every way out of root that a model's external data may try.
struct Fixture {
  Fixture() {
    stdfs::create_directories(root / "sub");
    stdfs::create_directory(directory.path() / "outside");
    testing::write_file(root / "sub/weights.bin", "inside");
    testing::write_file(directory.path() / "outside/secret", "outside");
    stdfs::create_symlink("../outside/secret", root / "link_out");
    stdfs::create_symlink("sub/weights.bin", root / "link_in");
    stdfs::create_directory_symlink("../outside", root / "dir_out");
    stdfs::create_directory_symlink("sub", root / "dir_in");
    REQUIRE(::mkfifo((root / "fifo").c_str(), 0600) == 0);
  }
  io::TempDirectory directory;
  stdfs::path root = directory.path() / "root";
};

} // namespace

TEST_CASE_METHOD(Fixture, "open_beneath opens regular files below the directory", "[io][file]") {
  for (const std::string name : {"sub/weights.bin", "./sub/weights.bin", "sub//weights.bin"}) {
    const auto file = io::File::open_beneath(root, name);
    std::string text(6, '?');
    CHECK(file.read_at(0, std::as_writable_bytes(std::span(text))) == 6);
    CHECK(text == "inside");
  }
}

TEST_CASE_METHOD(Fixture, "open_beneath refuses every way out", "[io][file]") {
  const std::string absolute = (root / "sub/weights.bin").string();
  using namespace std::string_literals;
  for (const std::string& name :
       {"../outside/secret"s, "sub/../../outside/secret"s, "sub/../sub/weights.bin"s, absolute,
        "link_out"s, "link_in"s, "dir_out/secret"s, "dir_in/weights.bin"s, "sub"s, "sub/"s, "."s,
        ""s, "fifo"s, "sub/weights.bin\0x"s}) {
    CAPTURE(name);
    try {
      (void)io::File::open_beneath(root, name);
      FAIL_CHECK("it opened");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_input);
    }
  }
}

TEST_CASE_METHOD(Fixture, "open_beneath tells a missing file from a refused one", "[io][file]") {
  for (const std::string name : {"missing", "sub/missing", "missing/x"}) {
    try {
      (void)io::File::open_beneath(root, name);
      FAIL_CHECK("it opened");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::not_found);
    }
  }
}

TEST_CASE_METHOD(Fixture, "the fallback for old kernels follows no symlink either", "[io][file]") {
  const io::File top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), root.string());
  const auto open = [&](std::vector<std::string> parts) {
    errno = 0;
    return io::File(io::open_beneath_by_parts(top.fd(), parts), "f").fd() >= 0 ? 0 : errno;
  };
  CHECK(open({"sub", "weights.bin"}) == 0);
  CHECK(open({"link_out"}) == ELOOP);
  CHECK(open({"link_in"}) == ELOOP);
  CHECK(open({"dir_out", "secret"}) == ELOOP);
  CHECK(open({"dir_in", "weights.bin"}) == ELOOP);
  CHECK(open({"sub", "missing"}) == ENOENT);
  CHECK(open({"sub", "weights.bin", "x"}) == ENOTDIR);
  struct stat info {};
  CHECK(::fstat(top.fd(), &info) == 0); // the caller's descriptor is still open
}
