#include "archive_fixture.hpp"

#include <atomic>
#include <thread>

using namespace aipack;
using namespace aipack::archive_test;

TEST_CASE("a tampered package is corrupt and leaves nothing behind", "[deb][file_cache][tamper]") {
  Fixture fixture;
  const std::string good = fixture.site.get(fixture.package_path());
  SECTION("one bit") {
    fixture.site.put(fixture.package_path(), flipped(good, 70));
  }
  SECTION("longer") {
    fixture.site.put(fixture.package_path(), good + "x");
  }
  SECTION("shorter") {
    fixture.site.put(fixture.package_path(), good.substr(1));
  }
  SECTION("a bit on the wire") {
    fixture.site.intercept(fixture.package_path(), [](Reply& reply) {
      reply.fault = {Fault::Kind::flip, 100};
    });
  }
  const auto source = fixture.open();
  const Error error = error_of([&] { (void)source->fetch(fixture.package(), {}); });
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK(fixture.cached("packages").empty());
  fixture.site.put(fixture.package_path(), good);
  CHECK((content_of(source->fetch(fixture.package(), {})) == good));
}

TEST_CASE("a package comes through a mirror that breaks off, in one piece", "[deb][file_cache]") {
  Fixture fixture;
  const auto kind = GENERATE(Fault::Kind::reset, Fault::Kind::truncate);
  const std::string good = fixture.site.get(fixture.package_path());
  fixture.site.intercept(fixture.package_path(), [&](Reply& reply) {
    reply.fault = {kind, good.size() / 2};
  });
  CHECK((content_of(fixture.open()->fetch(fixture.package(), {})) == good));
  CHECK(fixture.cached("partial").empty());
}

TEST_CASE("what a cancelled download left is continued by the next one", "[deb][file_cache]") {
  Fixture fixture;
  const std::string good = fixture.site.get(fixture.package_path());
  const std::size_t half = good.size() / 2;
  std::stop_source stop;
  struct StopAtFirstByte : ProgressSink {
    std::stop_source& stop;
    explicit StopAtFirstByte(std::stop_source& source) : stop(source) {}
    void on_event(const ProgressEvent& event) noexcept override {
      if (event.done > 0) {
        stop.request_stop();
      }
    }
  } progress(stop);
  fixture.site.intercept(fixture.package_path(), [&](Reply& reply) {
    reply.fault = {Fault::Kind::stall, half};
  });
  const Error error = error_of([&] {
    (void)fixture.open()->fetch(fixture.package(),
                                {.stop = stop.get_token(), .progress = progress});
  });
  CHECK(error.code() == ErrorCode::cancelled);
  CHECK(fixture.cached("packages").empty());
  const auto partial = fixture.options.cache_dir / "partial" / fixture.package().digest.hex();
  REQUIRE(std::filesystem::exists(partial));
  const std::string left = content_of(partial);
  REQUIRE(!left.empty());
  CHECK((left == good.substr(0, left.size())));

  SECTION("by range") {}
  SECTION("from the start, when it was damaged meanwhile") {
    io::write_file_atomically(partial, io::as_bytes(flipped(left, left.size() / 2)));
  }
  SECTION("from the start, when it is longer than the package") {
    io::write_file_atomically(partial, io::as_bytes(good + "more"));
  }
  SECTION("not at all, when it is complete") {
    io::write_file_atomically(partial, io::as_bytes(good));
  }
  CHECK((content_of(fixture.open()->fetch(fixture.package(), {})) == good));
  CHECK(fixture.cached("partial").empty());
}

TEST_CASE("one package asked for by many threads is downloaded once", "[deb][file_cache]") {
  const Fixture fixture;
  const auto source = fixture.open();
  const auto other_process = fixture.open();
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, i] {
        const auto file = (i % 2 == 0 ? source : other_process)->fetch(fixture.package(), {});
        good += content_of(file).size() == fixture.package().size_bytes ? 1 : 0;
      });
    }
  }
  CHECK(good == 6);
  CHECK(fixture.server.count(fixture.package_path()) == 1);
}

TEST_CASE("a file of the right name but another size in the cache is replaced",
          "[deb][file_cache]") {
  const Fixture fixture;
  const auto file = fixture.open()->fetch(fixture.package(), {});
  std::filesystem::resize_file(file, 100); // as a power cut may leave it
  CHECK(content_of(fixture.open()->fetch(fixture.package(), {})).size() ==
        fixture.package().size_bytes);
}

TEST_CASE("a file of the right name and size but other bytes in the cache is replaced",
          "[deb][file_cache][tamper]") {
  const Fixture fixture;
  const auto file = fixture.open()->fetch(fixture.package(), {});
  auto bytes = io::read_file(file, fixture.package().size_bytes);
  bytes[bytes.size() / 2] ^= std::byte{1};
  io::write_file_atomically(file, bytes);
  CHECK(oci::Digest::of(content_of(fixture.open()->fetch(fixture.package(), {}))) ==
        fixture.package().digest);
}
