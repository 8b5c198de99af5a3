#include "fixture.hpp"
#include "support/http_server.hpp"

#include <algorithm>

using namespace aipack;
using namespace aipack::registry_test;
using Tags = std::vector<std::string>;

namespace {

Tags many(RegistryServer& server, int count) {
  Tags tags;
  const std::string digest =
      server.put_manifest("team/model", manifest_text(), std::string(oci::media_type::manifest));
  for (int i = 0; i < count; ++i) {
    tags.push_back("v" + std::to_string(i));
    server.tag("team/model", tags.back(), digest);
  }
  std::ranges::sort(tags);
  return tags;
}

Tags list(const std::string& host) {
  Registry client(options());
  return client.open(reference(host), Access::pull).tags({});
}

} // namespace

TEST_CASE("all tags are listed, sorted, on however many pages they come", "[registry][tags]") {
  RegistryDialect dialect;
  int count = 5;
  std::size_t requests = 1;
  SECTION("one page") {}
  SECTION("none") {
    count = 0;
  }
  SECTION("more than a page") {
    count = 2500;
    requests = 3;
  }
  SECTION("the registry's own pages") {
    count = 10;
    dialect.tags_page = 3;
    requests = 4;
  }
  SECTION("a registry that knows no pages and no order") {
    count = 30;
    dialect.tags_paging = false;
    dialect.tags_sorted = false;
  }
  SECTION("the same, of just a page's size") {
    count = 1000;
    dialect.tags_paging = false;
    requests = 2; // is there more? no
  }
  SECTION("a registry with a limit") {
    count = 1500;
    dialect.max_tags_n = 1000;
    requests = 2;
  }
  RegistryServer server({.dialect = dialect});
  const Tags expected = many(server, count);
  CHECK(list(server.host()) == expected);
  CHECK(server.count("GET", "/tags/list") == requests);
}

TEST_CASE("full pages without links are followed by `last`", "[registry][tags]") {
  test::HttpServer server([](const test::ServedRequest& request) -> test::Reply {
    const std::size_t at = request.target.find("&last=v");
    const int first =
        at == std::string::npos ? 10'000 : std::stoi(request.target.substr(at + 7)) + 1;
    std::string body = R"({"name":"team/model","tags":[)";
    for (int i = first; i < std::min(first + 1000, 12'500); ++i) {
      body += (i == first ? "\"v" : ",\"v") + std::to_string(i) + '"';
    }
    return {.body = body + "]}"};
  });
  const Tags tags = list(server.host());
  CHECK(tags.size() == 2500);
  CHECK(tags.back() == "v12499");
  CHECK(server.log().size() == 3);
}

TEST_CASE("a listing that turns in a circle ends", "[registry][tags]") {
  test::HttpServer server([](const test::ServedRequest& request) -> test::Reply {
    const bool first = request.target.find("last=a") == std::string::npos;
    return {.headers = {{"Link", first ? "</v2/team/model/tags/list?last=a>; rel=\"next\""
                                       : "</v2/team/model/tags/list?n=1000>; rel=\"next\""}},
            .body = first ? R"({"tags":["a"]})" : R"({"tags":["b"]})"};
  });
  CHECK(list(server.host()) == Tags{"a", "b"});
  CHECK(server.log().size() == 2);
}

TEST_CASE("a listing does not lead to another server", "[registry][tags]") {
  test::HttpServer server([](const test::ServedRequest&) -> test::Reply {
    return {.headers = {{"Link", "<http://127.0.0.1:1/v2/team/model/tags/list?last=a>; rel=next"}},
            .body = R"({"tags":["a"]})"};
  });
  CHECK(failure_of([&] { list(server.host()); }).code() == ErrorCode::corrupt);
}

TEST_CASE("a repository that does not exist has no list of tags", "[registry][tags]") {
  RegistryServer server;
  const auto error = failure_of<RegistryError>([&] { list(server.host()); });
  CHECK(error.code() == ErrorCode::not_found);
  CHECK(error.has("NAME_UNKNOWN"));
  CHECK_THAT(error.hint(), ContainsSubstring("check the name"));
}

TEST_CASE("a server that is no registry is told from one", "[registry][tags]") {
  test::HttpServer server([](const test::ServedRequest&) -> test::Reply {
    return {.status = 404, .headers = {{"Content-Type", "text/plain"}}, .body = "404 not found"};
  });
  const auto error = failure_of([&] { list(server.host()); });
  CHECK(error.code() == ErrorCode::not_found);
  CHECK_THAT(error.hint(), ContainsSubstring("may not be a registry"));
}
