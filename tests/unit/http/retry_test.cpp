#include "http_helpers.hpp"

using namespace aipack;
using namespace aipack::testing;
using namespace std::chrono_literals;
using test::Reply;
using test::ServedRequest;

TEST_CASE("perform_with_retries returns the last answer", "[http]") {
  std::vector<int> statuses{503, 429, 200};
  test::HttpServer server([&](const ServedRequest&) {
    const int status = statuses.front();
    statuses.erase(statuses.begin());
    return Reply{.status = status};
  });
  http::Request request;
  request.url = server.url("/");
  CHECK(http::perform_with_retries(*http::make_transport(), request, {}, quick).status == 200);
  statuses = {500, 500, 500, 502};
  CHECK(http::perform_with_retries(*http::make_transport(), request, {}, quick).status == 502);
}

TEST_CASE("delays double, jitter and respect the server", "[http]") {
  const http::RetryPolicy policy{
      .attempts = 9, .first_delay = 100ms, .max_delay = 1000ms, .max_retry_after = 5000ms};
  for (int round = 0; round < 100; ++round) {
    const auto second = http::retry_delay(policy, 2);
    CHECK((second >= 50ms && second <= 100ms));
    const auto third = http::retry_delay(policy, 3);
    CHECK((third >= 100ms && third <= 200ms));
    const auto late = http::retry_delay(policy, 4'000'000'000U);
    CHECK((late >= 500ms && late <= 1000ms));
  }
  http::Response response;
  response.headers = {{"Retry-After", "3"}};
  CHECK(http::retry_after(response) == 3000ms);
  CHECK(http::retry_delay(policy, 2, &response) == 3000ms);
  response.headers = {{"Retry-After", "99999999999999999999999"}};
  CHECK_FALSE(http::retry_after(response).has_value());
  response.headers = {{"Retry-After", "18446744073709551615"}};
  CHECK(http::retry_delay(policy, 2, &response) == 5000ms);
  response.headers = {{"Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"},
                      {"Date", "Fri, 31 Dec 1999 23:59:49 GMT"}};
  CHECK(http::retry_after(response) == 10'000ms);
  response.headers = {{"Retry-After", "soon"}};
  CHECK_FALSE(http::retry_after(response).has_value());
}

TEST_CASE("HTTP dates", "[http]") {
  CHECK(http::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  CHECK(http::parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777);
  CHECK(http::parse_http_date("Sun Nov  6 08:49:37 1994") == 784111777);
  CHECK(http::parse_http_date("Sat, 12 Sep 2026 07:55:41 UTC") == 1789199741);
  CHECK_FALSE(http::parse_http_date("yesterday").has_value());
  CHECK_FALSE(http::parse_http_date("").has_value());
}
