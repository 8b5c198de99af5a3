#include "aipack/core/error.hpp"
#include "aipack/http/transport.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/timestamp.hpp"
#include "aipack/trust/timestamp_client.hpp"

#include "../sign/certificates.hpp"
#include "../sign/failure.hpp"
#include "support/catch.hpp"
#include "support/http_server.hpp"

#include <stop_token>

using namespace aipack;
using aipack::test::HttpServer;
using aipack::test::Reply;
using aipack::test::ServedRequest;
using aipack::testing::failure_of;
using aipack::testing::Issued;
using aipack::testing::now;

namespace {

constexpr const char* reply_type = "application/timestamp-reply";

/// A time-stamping authority whose answers a test may change.
struct Authority {
  Issued root = testing::make_authority();
  Issued certificate{testing::timestamp_spec(), testing::openssl_ec("P-256"), &root};
  testing::TimestampServer clock{certificate, now};
  std::function<void(Reply&)> change = [](Reply&) {};
  HttpServer server{[this](const ServedRequest& request) {
    Reply reply{.headers = {{"Content-Type", reply_type}}, .body = clock.answer(request.body)};
    change(reply);
    return reply;
  }};
  Operation op{};

  [[nodiscard]] sign::TimestampAuthority client(std::string_view path = "/tsr") {
    return trust::timestamp_authority(server.url(path), http::make_transport(), op);
  }
  /// How asking ends when the answer is changed like this.
  Error refusal(std::function<void(Reply&)> how, std::string_view path = "/tsr") {
    change = std::move(how);
    const auto ask = client(path);
    return failure_of([&] { (void)ask(sign::TimestampRequest::make("message")); });
  }
};

} // namespace

TEST_CASE("an authority is asked as RFC 3161 has it, and its answer is given out",
          "[trust][timestamp]") {
  Authority authority;
  const auto question = sign::TimestampRequest::make("message");
  const auto answer = authority.client()(question);
  const auto token = sign::check_timestamp_response(question, answer);
  CHECK(sign::verify_timestamp(token, "message", {{.chain = {authority.root.certificate()}}}) ==
        now);
  const auto log = authority.server.log();
  REQUIRE(log.size() == 1);
  CHECK(log.front().method == "POST");
  CHECK(log.front().target == "/tsr");
  CHECK(log.front().body == question.der);
  CHECK(log.front().header("Content-Type") == "application/timestamp-query");
  CHECK(log.front().header("Accept") == reply_type);
  CHECK(log.front().header("Content-Length") == std::to_string(question.der.size()));
}

TEST_CASE("a parameter of the content type changes nothing", "[trust][timestamp]") {
  Authority authority;
  authority.change = [](Reply& reply) {
    reply.headers = {{"content-type", std::string(reply_type) + "; charset=binary"}};
  };
  const auto question = sign::TimestampRequest::make("message");
  CHECK_NOTHROW(sign::check_timestamp_response(question, authority.client()(question)));
}

TEST_CASE("what is no time stamp is said to be none", "[trust][timestamp]") {
  Authority authority;
  const int status = GENERATE(201, 204, 400, 403, 404, 500, 503);
  const auto by_status = authority.refusal([&](Reply& reply) { reply.status = status; });
  CHECK(by_status.code() == ErrorCode::unavailable);
  CHECK_THAT(by_status.message(), ContainsSubstring("cannot get a time stamp from"));
  CHECK_THAT(by_status.message(), ContainsSubstring("status " + std::to_string(status)));
  CHECK(authority.server.log().size() == 1); // nothing is asked twice

  const auto html = authority.refusal([](Reply& reply) {
    reply.headers = {{"Content-Type", "text/html; charset=utf-8"}};
    reply.body = "<!DOCTYPE html><title>Sign in</title>";
  });
  CHECK(html.code() == ErrorCode::unavailable);
  CHECK_THAT(html.message(), ContainsSubstring("'text/html; charset=utf-8' instead of a time"));

  // The right bytes under a wrong name, or under none.
  const auto query = authority.refusal([](Reply& reply) {
    reply.headers = {{"Content-Type", "application/timestamp-query"}};
  });
  CHECK(query.code() == ErrorCode::unavailable);
  CHECK_THAT(query.message(), ContainsSubstring("'application/timestamp-query' instead"));
  CHECK(authority.refusal([](Reply& reply) { reply.headers.clear(); }).code() ==
        ErrorCode::unavailable);
}

TEST_CASE("an answer that is too large is not read to its end", "[trust][timestamp]") {
  Authority authority;
  const auto announced = GENERATE(true, false);
  const auto error = authority.refusal([&](Reply& reply) {
    reply.body.resize(sign::max_timestamp_bytes + 1, 'x');
    reply.announce_length = announced;
  });
  CHECK(error.code() != ErrorCode::internal);
  CHECK_THAT(error.message(), ContainsSubstring(std::to_string(sign::max_timestamp_bytes)));
}

TEST_CASE("an authority that hangs up is unavailable", "[trust][timestamp]") {
  Authority authority;
  CHECK(authority.refusal([](Reply& reply) { reply.reset_before_reply = true; }).code() ==
        ErrorCode::unavailable);
  CHECK(authority
            .refusal([](Reply& reply) {
              reply.fault = {.kind = test::Fault::Kind::truncate, .after_bytes = 10};
            })
            .code() == ErrorCode::unavailable);
}

TEST_CASE("what an address has for the authority alone is in no message", "[trust][timestamp]") {
  Authority authority;
  const auto error =
      authority.refusal([](Reply& reply) { reply.status = 403; }, "/tsr?token=hunter2");
  CHECK_THAT(error.message(), !ContainsSubstring("hunter2"));
  CHECK(authority.server.log().back().target == "/tsr?token=hunter2");
}

TEST_CASE("whoever stopped asks nobody", "[trust][timestamp]") {
  Authority authority;
  std::stop_source stop;
  stop.request_stop();
  const Operation stopped{.stop = stop.get_token()};
  const auto ask =
      trust::timestamp_authority(authority.server.url("/tsr"), http::make_transport(), stopped);
  CHECK(failure_of([&] { (void)ask(sign::TimestampRequest::make("message")); }).code() ==
        ErrorCode::cancelled);
}

TEST_CASE("who signs takes no answer to another question", "[trust][timestamp]") {
  Authority authority;
  const auto key = sign::PrivateKey::generate();
  const auto sign = [&] {
    return sign::sign_image(oci::Digest::of("image"), {},
                            {.signer = key, .timestamp = authority.client()});
  };
  CHECK_NOTHROW(sign());
  authority.change = [&](Reply& reply) {
    reply.body = authority.clock.answer(sign::TimestampRequest::make("another").der);
  };
  CHECK(failure_of(sign).code() == ErrorCode::corrupt);
  authority.change = [](Reply& reply) { reply.body = "no DER"; };
  CHECK(failure_of(sign).code() == ErrorCode::corrupt);
  authority.change = [&](Reply& reply) { reply.body = authority.clock.answer("no question"); };
  CHECK(failure_of(sign).code() == ErrorCode::unavailable); // the authority itself refuses
}
