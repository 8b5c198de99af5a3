#include "aipack/core/error.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/temp.hpp"

#include <fcntl.h>
#include <unistd.h>

using namespace aipack;
using testing::write_file;

namespace {

template <class Fn>
ErrorCode code_of(Fn fn) {
  try {
    fn();
  } catch (const Error& error) {
    UNSCOPED_INFO(error.message());
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::internal;
}

} // namespace

TEST_CASE("File::open says what is missing", "[io][file]") {
  const io::TempDirectory directory;
  try {
    (void)io::File::open(directory.path() / "model.onnx");
    FAIL("it opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(error.message() == "cannot open '" + (directory.path() / "model.onnx").string() +
                                 "': no such file or directory");
  }
}

TEST_CASE("reading a directory is an error, not an empty file", "[io][file]") {
  const io::TempDirectory directory;
  CHECK(code_of([&] { (void)io::read_text_file(directory.path(), 100); }) == ErrorCode::io);
}

TEST_CASE("File reads at any place and knows its state", "[io][file]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "f";
  write_file(path, "0123456789");
  const auto file = io::File::open(path);
  CHECK(file.size() == 10);
  CHECK(file.is_regular());
  CHECK(file.link_count() == 1);
  std::filesystem::create_hard_link(path, directory.path() / "g");
  CHECK(file.link_count() == 2);
  std::string buffer(4, '?');
  CHECK(file.read_at(8, std::as_writable_bytes(std::span(buffer))) == 2);
  CHECK(buffer == "89??");
  CHECK(file.read_at(10, std::as_writable_bytes(std::span(buffer))) == 0);
  CHECK(code_of([&] {
          (void)file.read_at(UINT64_MAX, std::as_writable_bytes(std::span(buffer)));
        }) == ErrorCode::corrupt);
}

TEST_CASE("identity changes with the content", "[io][file]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "f";
  write_file(path, "one");
  const auto before = io::File::open(path).identity();
  CHECK(io::File::open(path).identity() == before);
  write_file(path, "three");
  CHECK(io::File::open(path).identity() != before);
  CHECK(io::File::open(path).identity().inode == before.inode);
}

TEST_CASE("a moved-from File is closed once", "[io][file]") {
  const io::TempDirectory directory;
  write_file(directory.path() / "a", "a");
  write_file(directory.path() / "b", "b");
  auto a = io::File::open(directory.path() / "a");
  auto b = io::File::open(directory.path() / "b");
  const int fd = b.fd();
  a = std::move(b);
  CHECK(a.fd() == fd);
  const io::File c(std::move(a));
  CHECK(c.fd() == fd);
  CHECK(a.fd() == -1); // NOLINT: what moving leaves behind is the subject
}

TEST_CASE("a full disk is an io error with a hint", "[io][file]") {
  io::File full(::open("/dev/full", O_WRONLY | O_CLOEXEC), "/dev/full");
  if (full.fd() < 0) {
    WARN("skipped: this system has no /dev/full");
    return;
  }
  try {
    full.write(io::as_bytes("x"));
    FAIL("the disk is not full");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    CHECK(error.message() == "cannot write '/dev/full': no space left on device");
    CHECK_FALSE(error.hint().empty());
  }
}

TEST_CASE("FileSource delivers its span and no more", "[io][file]") {
  const io::TempDirectory directory;
  write_file(directory.path() / "f", "0123456789");
  const auto file = std::make_shared<const io::File>(io::File::open(directory.path() / "f"));
  io::FileSource all(file);
  CHECK(io::read_text(all, 100, "f") == "0123456789");
  io::FileSource part(file, 3, 4);
  CHECK(io::read_text(part, 100, "f") == "3456");
  io::FileSource over(file, 8, 100);
  CHECK(io::read_text(over, 100, "f") == "89");
}

TEST_CASE("FileAccess reads exactly or says where the file ends", "[io][file]") {
  const io::TempDirectory directory;
  write_file(directory.path() / "f", "0123456789");
  const io::FileAccess access(
      std::make_shared<const io::File>(io::File::open(directory.path() / "f")));
  CHECK(access.size() == 10);
  std::string buffer(4, '?');
  access.read_at(6, std::as_writable_bytes(std::span(buffer)));
  CHECK(buffer == "6789");
  try {
    access.read_at(7, std::as_writable_bytes(std::span(buffer)));
    FAIL("it read past the end");
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.offset() == 10U);
  }
}

TEST_CASE("Mapping shows the whole file, an empty one too", "[io][file]") {
  const io::TempDirectory directory;
  write_file(directory.path() / "f", "0123456789");
  write_file(directory.path() / "empty", "");
  io::Mapping mapping(directory.path() / "f");
  CHECK(io::as_text(mapping.bytes()) == "0123456789");
  const io::Mapping moved(std::move(mapping));
  CHECK(io::as_text(moved.bytes()) == "0123456789");
  CHECK(io::Mapping(directory.path() / "empty").bytes().empty());
}

TEST_CASE("whole files are read up to their limit", "[io][file]") {
  const io::TempDirectory directory;
  write_file(directory.path() / "f", "0123456789");
  CHECK(io::read_text_file(directory.path() / "f", 10) == "0123456789");
  CHECK(io::read_file(directory.path() / "f", 10).size() == 10);
  CHECK(code_of([&] { (void)io::read_file(directory.path() / "f", 9); }) == ErrorCode::corrupt);
}
