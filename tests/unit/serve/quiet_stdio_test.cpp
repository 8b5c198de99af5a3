#include "quiet_stdio.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

using namespace aipack::serve;

namespace {

/// Puts a pipe in place of standard error, and gives back what went into it.
class Watched {
public:
  Watched() : saved_(::dup(STDERR_FILENO)) {
    REQUIRE(::pipe2(ends_, O_NONBLOCK) == 0);
    ::dup2(ends_[1], STDERR_FILENO);
  }
  ~Watched() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  std::string text() {
    char part[4096];
    const ssize_t n = ::read(ends_[0], part, sizeof part);
    return {part, static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
  }

private:
  int saved_;
  int ends_[2]{};
};

} // namespace

TEST_CASE("QuietStdio holds back output and gives its end to who asks", "[serve][quiet_stdio]") {
  Watched watched;
  std::fputs("before ", stderr);
  std::string held;
  {
    QuietStdio quiet;
    std::fputs(std::string(5000, 'x').c_str(), stderr);
    std::fputs("the end", stderr);
    held = quiet.release();
    std::fputs("after", stderr);
  }
  CHECK(watched.text() == "before after");
  CHECK(held.size() == 2048);
  CHECK(held.ends_with("xthe end"));
}

TEST_CASE("QuietStdio ends with its scope", "[serve][quiet_stdio]") {
  Watched watched;
  {
    const QuietStdio quiet;
    std::fputs("held", stderr);
  }
  std::fputs("seen", stderr);
  CHECK(watched.text() == "seen");
}
