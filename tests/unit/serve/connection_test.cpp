#include "connection.hpp"
#include "support/catch.hpp"

#include <optional>
#include <string>

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace aipack::serve;
using namespace std::chrono_literals;

namespace {

struct Pair {
  explicit Pair(ConnectionTimes times = {.idle = 60s, .request = 60s, .write = 60s})
      : stop(::eventfd(0, EFD_CLOEXEC)) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    client = ends[0];
    connection.emplace(ends[1], stop, times);
  }
  ~Pair() {
    connection.reset();
    ::close(client);
    ::close(stop);
  }
  void send(const std::string& text) const {
    REQUIRE(::send(client, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  std::string read(std::size_t size) {
    std::string out(size, '\0');
    const ssize_t n = connection->read(out.data(), size);
    out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return out;
  }

  int client = -1;
  int stop;
  std::optional<Connection> connection;
};

} // namespace

TEST_CASE("a connection reads ahead and keeps what belongs to the next request",
          "[serve][connection]") {
  Pair pair;
  pair.send("onetwo");
  REQUIRE(pair.connection->wait_for_request());
  CHECK(pair.read(3) == "one");
  REQUIRE(pair.connection->wait_for_request());
  CHECK(pair.read(30) == "two");
}

TEST_CASE("a connection ends when the client goes or the server stops", "[serve][connection]") {
  Pair gone;
  ::shutdown(gone.client, SHUT_WR);
  CHECK((!gone.connection->wait_for_request() || gone.read(1).empty()));

  Pair stopped;
  const std::uint64_t one = 1;
  REQUIRE(::write(stopped.stop, &one, sizeof one) == sizeof one);
  CHECK_FALSE(stopped.connection->wait_for_request());
  stopped.send("x"); // but bytes that are there are a request in flight
  CHECK(stopped.connection->wait_for_request());
}

TEST_CASE("a request that does not arrive in time is cut off", "[serve][connection]") {
  Pair pair({.idle = 0s, .request = 0s, .write = 60s});
  CHECK_FALSE(pair.connection->wait_for_request());
  pair.send("x");
  REQUIRE(pair.connection->wait_for_request());
  CHECK(pair.read(1).empty());
  CHECK(pair.connection->timed_out());
}

TEST_CASE("a client that takes nothing does not hold a writer for ever", "[serve][connection]") {
  Pair pair({.idle = 60s, .request = 60s, .write = 0s});
  const std::string block(1 << 16, 'x');
  int writes = 0;
  while (pair.connection->write(block.data(), block.size()) > 0 && writes < 10'000) {
    ++writes;
  }
  CHECK(writes < 10'000);
}

TEST_CASE("linger swallows what is still on its way", "[serve][connection]") {
  Pair pair;
  pair.send("rest");
  ::shutdown(pair.client, SHUT_WR);
  pair.connection->linger();
  char byte = 0;
  CHECK(::recv(pair.client, &byte, 1, 0) == 0);
}
