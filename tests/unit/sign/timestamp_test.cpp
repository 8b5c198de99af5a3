#include "aipack/core/error.hpp"
#include "aipack/sign/timestamp.hpp"

#include "../../support/catch.hpp"
#include "certificates.hpp"
#include "failure.hpp"

#include <optional>
#include <string>

using namespace aipack;
using namespace aipack::sign;
using aipack::testing::failure_of;
using aipack::testing::Issued;
using aipack::testing::now;
using aipack::testing::TimestampServer;

namespace {

struct Clock {
  Issued root = testing::make_authority();
  Issued certificate{testing::timestamp_spec(), testing::openssl_ec("P-256"), &root};
  std::vector<Authority> trusted{{.chain = {root.certificate()}}};
};

std::string reason_of(const std::string& der, const std::string& message,
                      const std::vector<Authority>& authorities) {
  return failure_of([&] { (void)verify_timestamp(der, message, authorities); }).message();
}

} // namespace

TEST_CASE("a time stamp proves when a message was there", "[sign][timestamp]") {
  const Clock clock;
  const TimestampServer server(clock.certificate, now);
  const auto request = TimestampRequest::make("message");
  const std::string der = check_timestamp_response(request, server.answer(request.der));
  CHECK(verify_timestamp(der, "message", clock.trusted) == now);
  CHECK_THAT(reason_of(der, "massage", clock.trusted), ContainsSubstring("imprint"));
  const Issued other = testing::make_authority("Other");
  CHECK_THAT(reason_of(der, "message", {{.chain = {other.certificate()}}}),
             ContainsSubstring("cannot accept the time stamp"));
  CHECK_THAT(reason_of(der, "message", {}), ContainsSubstring("no trusted time-stamping"));
  // As trusted roots of Sigstore have it: the authority's own certificate before its issuer.
  CHECK(verify_timestamp(
            der, "message",
            {{.chain = {clock.certificate.certificate(), clock.root.certificate()}}}) == now);
}

TEST_CASE("every changed byte of a time stamp is noticed", "[sign][timestamp]") {
  const Clock clock;
  const TimestampServer server(clock.certificate, now);
  const std::string der = server.answer(TimestampRequest::make("message").der);
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < der.size(); ++at) {
    std::string changed = der;
    changed[at] = static_cast<char>(changed[at] ^ 0x04);
    std::optional<std::chrono::sys_seconds> time;
    try {
      time = verify_timestamp(changed, "message", clock.trusted);
    } catch (const Error&) {
      continue;
    }
    CHECK(*time == now);
    ++accepted;
  }
  // The status, the version and order of unsigned parts may change; the time may not.
  CHECK(accepted < der.size() / 10);
  for (std::size_t length = 0; length < der.size(); length += 13) {
    CHECK_THROWS_AS(verify_timestamp(der.substr(0, length), "message", clock.trusted), Error);
  }
}

TEST_CASE("an answer to another question is refused", "[sign][timestamp]") {
  const Clock clock;
  const TimestampServer server(clock.certificate, now);
  const auto request = TimestampRequest::make("message");
  const auto refused = [&](const std::string& der) {
    return failure_of([&] { (void)check_timestamp_response(request, der); });
  };
  CHECK_THAT(refused(server.answer(TimestampRequest::make("message").der)).message(),
             ContainsSubstring("nonce"));
  CHECK_THAT(refused(server.answer(TimestampRequest::make("other").der)).message(),
             ContainsSubstring("does not answer the request"));
  CHECK(refused("no DER").code() == ErrorCode::corrupt);
  CHECK(refused(server.answer("no request")).code() == ErrorCode::unavailable);
  CHECK(refused(std::string(100'000, 'x')).code() == ErrorCode::corrupt);
}

TEST_CASE("only a certificate for time stamps alone makes one", "[sign][timestamp]") {
  const Issued root = testing::make_authority();
  const std::vector<Authority> trusted{{.chain = {root.certificate()}}};
  auto spec = testing::timestamp_spec();
  spec.until = now - std::chrono::hours(1); // had expired when it stamped
  const Issued expired(spec, testing::openssl_ec("P-256"), &root);
  const TimestampServer server(expired, now);
  CHECK_THAT(reason_of(server.answer(TimestampRequest::make("m").der), "m", trusted),
             ContainsSubstring("cannot accept the time stamp"));
}
