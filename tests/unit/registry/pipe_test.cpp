#include "aipack/core/error.hpp"

#include "pipe.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <thread>

using namespace aipack;
using registry::Pipe;

namespace {

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>((i * 2654435761U) >> 13);
  }
  return bytes;
}

std::vector<std::byte> drain(Pipe& pipe, std::size_t step) {
  std::vector<std::byte> all;
  std::vector<std::byte> buffer(step);
  while (const std::size_t count = pipe.read(buffer)) {
    all.insert(all.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return all;
}

} // namespace

TEST_CASE("bytes leave a pipe in the order in which they came", "[registry][pipe]") {
  const std::size_t size = GENERATE(0U, 1U, Pipe::capacity, 3 * Pipe::capacity + 17);
  const std::size_t step = GENERATE(1000U, 65536U, 2 * Pipe::capacity);
  CAPTURE(size, step);
  const auto bytes = pattern(size);
  std::stop_source stop;
  Pipe pipe(stop.get_token());
  std::jthread writer([&] {
    for (std::size_t at = 0; at < size; at += 40'000) {
      pipe.write(std::span(bytes).subspan(at, std::min<std::size_t>(40'000, size - at)));
    }
    pipe.close(nullptr);
  });
  CHECK(drain(pipe, step) == bytes);
}

TEST_CASE("a failure comes after the bytes that were good", "[registry][pipe]") {
  std::stop_source stop;
  Pipe pipe(stop.get_token());
  pipe.write(pattern(10));
  pipe.close(std::make_exception_ptr(Error(ErrorCode::unavailable, "cannot go on: no network")));
  std::array<std::byte, 100> buffer{};
  CHECK(pipe.read(buffer) == 10);
  CHECK_THROWS_AS(pipe.read(buffer), Error);
  CHECK_THROWS_AS(pipe.read(buffer), Error);
}

TEST_CASE("a writer that nobody reads from stops when it is asked to", "[registry][pipe]") {
  std::stop_source stop;
  Pipe pipe(stop.get_token());
  std::jthread writer([&] { CHECK_THROWS_AS(pipe.write(pattern(2 * Pipe::capacity)), Error); });
  stop.request_stop();
}
