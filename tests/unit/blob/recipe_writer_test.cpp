#include "aipack/blob/blob.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/temp.hpp"

#include <atomic>
#include <cerrno>

#include <dlfcn.h>
#include <pthread.h>

namespace {

/// Which of the next threads cannot be started; 0: none.
std::atomic<int> failing_thread{0};

} // namespace

/// Stands in front of the C library's, which std::thread calls: a process limit on threads that
/// holds for root too.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*run)(void*), void* argument) {
  if (failing_thread > 0 && --failing_thread == 0) {
    return EAGAIN;
  }
  static const auto real =
      reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  return real(thread, attributes, run, argument);
}

using namespace aipack;

TEST_CASE("Where no more threads can be started, a recipe is written without", "[blob][store]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "model";
  std::string content(std::size_t{40} << 20, 'm'); // more than the ring holds
  content.back() = '!';
  testing::write_file(file, content);
  blob::Recipe recipe;
  recipe.add(std::string("head"));
  recipe.add(fs::FileExtent(file, 0, content.size(), io::File::open(file).identity()));
  const auto whole = "head" + content;

  const int which = GENERATE(1, 2, 3);
  blob::DirectoryStore store(directory.path() / "store");
  failing_thread = which;
  const auto hashed = store.place_hashing("t", recipe, {});
  CHECK(failing_thread == (which == 3 ? 1 : 0)); // two are all that it takes
  failing_thread = 0;
  CHECK(hashed->descriptor().digest == oci::Digest::of(whole));
  CHECK((testing::read_file(store.path_of(hashed->descriptor().digest)) == whole));
}
