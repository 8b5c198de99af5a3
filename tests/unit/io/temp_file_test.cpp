#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/temp.hpp"
#include "temp_name.hpp"

#include <atomic>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

using namespace aipack;
using io::Durability;
using io::TempFile;
using testing::names_in;
using testing::read_file;

namespace {

unsigned mode_of(const std::filesystem::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777U;
}

template <class Fn>
ErrorCode code_of(Fn fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::internal;
}

} // namespace

TEST_CASE("a TempFile appears whole under its final name", "[io][temp_file]") {
  const auto durability = GENERATE(Durability::cached, Durability::synced);
  const auto if_exists = GENERATE(TempFile::IfExists::keep, TempFile::IfExists::replace);
  const io::TempDirectory directory;
  {
    TempFile file(directory.path());
    file.write(io::as_bytes("hello "));
    file.write(io::as_bytes("world"));
    CHECK_FALSE(std::filesystem::exists(directory.path() / "final"));
    file.commit(directory.path() / "final", if_exists, durability, 0640);
  }
  CHECK(read_file(directory.path() / "final") == "hello world");
  CHECK(mode_of(directory.path() / "final") == 0640);
  CHECK(names_in(directory.path()) == std::set<std::string>{"final"});
}

TEST_CASE("a TempFile that is not committed leaves nothing", "[io][temp_file]") {
  const io::TempDirectory directory;
  {
    TempFile file(directory.path());
    file.write(io::as_bytes("half"));
  }
  CHECK(names_in(directory.path()).empty());
}

TEST_CASE("keep leaves an existing file alone, replace exchanges it", "[io][temp_file]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "final";
  testing::write_file(path, "old");
  {
    TempFile file(directory.path());
    file.write(io::as_bytes("new"));
    file.commit(path, TempFile::IfExists::keep, Durability::cached);
  }
  CHECK(read_file(path) == "old");
  {
    TempFile file(directory.path());
    file.write(io::as_bytes("new"));
    file.commit(path, TempFile::IfExists::replace, Durability::cached);
  }
  CHECK(read_file(path) == "new");
  CHECK(names_in(directory.path()) == std::set<std::string>{"final"});
}

TEST_CASE("the mode of a committed file does not depend on the umask", "[io][temp_file]") {
  const io::TempDirectory directory;
  const mode_t old = ::umask(0077);
  io::write_file_atomically(directory.path() / "f", io::as_bytes("x"));
  ::umask(old);
  CHECK(mode_of(directory.path() / "f") == 0644);
}

TEST_CASE("a TempFile in a missing directory names the directory", "[io][temp_file]") {
  const io::TempDirectory directory;
  const auto missing = directory.path() / "missing";
  try {
    const TempFile file(missing);
    FAIL("it was created");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK_THAT(error.message(), ContainsSubstring(missing.string()));
  }
}

TEST_CASE("a read-only directory refuses, and nothing appears", "[io][temp_file]") {
  if (::geteuid() == 0) {
    WARN("skipped: root may write everywhere");
    return;
  }
  const io::TempDirectory directory;
  const auto locked = directory.path() / "locked";
  std::filesystem::create_directory(locked);
  std::filesystem::permissions(locked, std::filesystem::perms::owner_read |
                                           std::filesystem::perms::owner_exec);
  CHECK(code_of([&] { const TempFile file(locked); }) == ErrorCode::denied);
  std::filesystem::permissions(locked, std::filesystem::perms::owner_all);
  CHECK(names_in(locked).empty());
}

TEST_CASE("a commit that cannot succeed leaves no temporary name", "[io][temp_file]") {
  const auto if_exists = GENERATE(TempFile::IfExists::keep, TempFile::IfExists::replace);
  const io::TempDirectory directory;
  std::filesystem::create_directories(directory.path() / "taken/full");
  {
    TempFile file(directory.path());
    file.write(io::as_bytes("x"));
    CHECK(code_of([&] {
            file.commit(directory.path() / "missing/final", if_exists, Durability::cached);
          }) == ErrorCode::not_found);
    if (if_exists == TempFile::IfExists::replace) { // a directory is not replaced by a file
      CHECK(code_of([&] {
              file.commit(directory.path() / "taken", if_exists, Durability::cached);
            }) == ErrorCode::io);
    }
  }
  CHECK(names_in(directory.path()) == std::set<std::string>{"taken"});
}

TEST_CASE("without unnamed inodes a temporary name is created and renamed", "[io][temp_file]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "final";
  auto first = io::create_named(directory.path());
  auto second = io::create_named(directory.path());
  CHECK(first.name != second.name);
  CHECK(first.name.filename().string().starts_with(".aipack-tmp-"));
  CHECK(mode_of(first.name) == 0600);
  first.file.write(io::as_bytes("first"));
  second.file.write(io::as_bytes("second"));
  CHECK(io::rename_keeping(first.name, path));
  CHECK_FALSE(io::rename_keeping(second.name, path));
  CHECK(read_file(path) == "first");
  CHECK(names_in(directory.path()) ==
        std::set<std::string>{"final", second.name.filename().string()});
  CHECK(code_of([&] {
          (void)io::rename_keeping(second.name, directory.path() / "missing/final");
        }) == ErrorCode::not_found);
  CHECK(code_of([&] { (void)io::create_named(directory.path() / "missing"); }) ==
        ErrorCode::not_found);
}

TEST_CASE("write_file_atomically creates parents and replaces", "[io][temp_file]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "a/b/c.json";
  io::write_file_atomically(path, io::as_bytes("1"), Durability::synced);
  io::write_file_atomically(path, io::as_bytes("2"));
  CHECK(read_file(path) == "2");
  CHECK(names_in(path.parent_path()) == std::set<std::string>{"c.json"});

  testing::write_file(directory.path() / "file", "");
  CHECK(code_of([&] {
          io::write_file_atomically(directory.path() / "file/x", io::as_bytes("1"));
        }) == ErrorCode::not_found);
}

TEST_CASE("TempDirectory removes everything in it", "[io][temp_file]") {
  std::filesystem::path path;
  {
    const io::TempDirectory directory;
    path = directory.path();
    std::filesystem::create_directories(path / "a/b");
    testing::write_file(path / "a/b/c", "x");
    CHECK(mode_of(path) == 0700);
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK_THROWS_AS(io::TempDirectory("/nonexistent/parent"), Error);
}

TEST_CASE("a FileLock is held by one at a time", "[io][file_lock]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "lock";
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> total{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 2; ++round) {
          const io::FileLock lock(path, {});
          most = std::max(most.load(), ++inside);
          ++total;
          std::this_thread::yield();
          --inside;
        }
      });
    }
  }
  CHECK(most == 1);
  CHECK(total == 6);
  CHECK(names_in(directory.path()) == std::set<std::string>{"lock"});
}

TEST_CASE("a FileLock whose file goes with it is held by one at a time", "[io][file_lock]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "lock";
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 50; ++round) {
          const io::FileLock lock(path, {}, io::FileLock::Afterwards::remove);
          most = std::max(most.load(), ++inside);
          std::this_thread::yield();
          --inside;
        }
      });
    }
  }
  CHECK(most == 1);
  CHECK(names_in(directory.path()).empty());
}

TEST_CASE("waiting for a FileLock ends when the caller asks", "[io][file_lock]") {
  const io::TempDirectory directory;
  const io::FileLock held(directory.path() / "lock", {});
  std::stop_source stop;
  const Operation op{.stop = stop.get_token()};
  std::jthread asker([&] { stop.request_stop(); });
  CHECK(code_of([&] { const io::FileLock waiting(directory.path() / "lock", op); }) ==
        ErrorCode::cancelled);
}

TEST_CASE("a FileLock in a missing directory is not found", "[io][file_lock]") {
  const io::TempDirectory directory;
  CHECK(code_of([&] { const io::FileLock lock(directory.path() / "missing/lock", {}); }) ==
        ErrorCode::not_found);
}
