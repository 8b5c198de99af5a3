#include "http_helpers.hpp"

#include <filesystem>
#include <fstream>

#include <unistd.h>

using namespace aipack;
using namespace aipack::testing;

TEST_CASE("file URLs answer like a web server", "[http]") {
  const auto directory =
      std::filesystem::temp_directory_path() / ("aipack http test " + std::to_string(::getpid()));
  std::filesystem::create_directories(directory);
  struct Cleanup {
    std::filesystem::path path;
    ~Cleanup() { std::filesystem::remove_all(path); }
  } const cleanup{directory};
  std::ofstream(directory / "a file%") << "content";
  const auto transport = http::make_transport();
  const std::string url = http::file_url((directory / "a file%").string());
  CHECK_THAT(url, ContainsSubstring("/a%20file%25"));
  const auto response = get(*transport, url);
  CHECK(response.status == 200);
  CHECK(response.body == "content");
  http::Request again;
  again.url = url;
  again.headers = {{"If-None-Match", response.header("ETag").value()}};
  CHECK(transport->perform(again, {}).status == 304);
  CHECK(get(*transport, http::file_url(directory.string())).status == 404);
  CHECK(get(*transport, http::file_url((directory / "missing").string())).status == 404);
  CHECK(error_of([&] { (void)get(*transport, "file://otherhost/x"); }).code() ==
        ErrorCode::invalid_input);
  CHECK(error_of([&] { (void)get(*transport, "file:///x%zz"); }).code() ==
        ErrorCode::invalid_input);
  CHECK(error_of([&] { (void)get(*transport, "file:///x%00"); }).code() ==
        ErrorCode::invalid_input);
}
