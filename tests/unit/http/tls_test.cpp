#include "certificates.hpp"
#include "environment.hpp"
#include "http_helpers.hpp"
#include "scripted_server.hpp"

#include <optional>

using namespace aipack;
using namespace aipack::testing;

namespace {

void answer_all(Scripted& client) {
  while (!client.read_head().empty()) {
    client.answer("200 OK", "private");
  }
}

std::optional<ScriptedTls> tls_of(const Certificate& certificate) {
  return ScriptedTls{.certificate = certificate.certificate, .key = certificate.key};
}

Error refusal(const http::TransportOptions& options, const std::string& url) {
  return error_of([&] { (void)get(*http::make_transport(options), url); });
}

} // namespace

TEST_CASE("a private authority is believed where it is named, beside the system's", "[http][tls]") {
  const CertificateMaker maker;
  const Certificate ours = maker.authority("ours");
  const Certificate systems = maker.authority("systems");
  ScriptedServer server(answer_all, tls_of(maker.server("server", ours)));
  ScriptedServer known(answer_all, tls_of(maker.server("known", systems)));
  const Environment file("SSL_CERT_FILE", systems.certificate);

  const Error error = refusal({}, server.url());
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_FALSE(error.hint().empty());

  const auto transport = http::make_transport({.ca_files = {ours.certificate}});
  CHECK(get(*transport, server.url()).body == "private");
  CHECK(get(*transport, server.url()).body == "private");
  CHECK(server.connections() == 2); // the refused one, and one for both requests
  CHECK(get(*transport, known.url()).body == "private");
  CHECK(get(*http::make_transport(), known.url()).body == "private");
}

TEST_CASE("the environment names a directory of authorities as well", "[http][tls]") {
  const CertificateMaker maker;
  const Certificate ours = maker.authority("ours");
  ScriptedServer server(answer_all, tls_of(maker.server("server", ours)));
  const Environment directory("SSL_CERT_DIR", maker.hashed(ours));
  CHECK(get(*http::make_transport(), server.url()).body == "private");
}

TEST_CASE("a certificate for another host is refused", "[http][tls]") {
  const CertificateMaker maker;
  const Certificate ours = maker.authority("ours");
  ScriptedServer server(answer_all, tls_of(maker.server("other", ours, "DNS:other.example")));
  const Error error = refusal({.ca_files = {ours.certificate}}, server.url());
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK(get(*http::make_transport({.insecure_tls = true}), server.url()).body == "private");
}

TEST_CASE("files that hold no certificate are found before the first request", "[http][tls]") {
  const CertificateMaker maker;
  const Certificate ours = maker.authority("ours");
  const auto code_of = [](const http::TransportOptions& options) {
    return error_of([&] { (void)http::make_transport(options); }).code();
  };
  CHECK(code_of({.ca_files = {maker.path("missing.pem")}}) == ErrorCode::not_found);
  CHECK(code_of({.ca_files = {ours.key}}) == ErrorCode::invalid_input);
  CHECK(code_of({.client_certificates = {{"https://r.example", maker.path("missing.pem")}}}) ==
        ErrorCode::not_found);
  CHECK(code_of({.client_certificates = {{"r.example", ours.certificate, ours.key}}}) ==
        ErrorCode::invalid_input);
}

TEST_CASE("a client certificate is shown to its origin alone", "[http][tls]") {
  const CertificateMaker maker;
  const Certificate ours = maker.authority("ours");
  const Certificate client = maker.client("client", ours);
  auto tls = tls_of(maker.server("server", ours));
  tls->asks_for_certificate = true;
  ScriptedServer elsewhere(answer_all, tls);
  ScriptedServer server(
      [&](Scripted& connection) {
        connection.read_head();
        connection.send("HTTP/1.1 307 Elsewhere\r\nContent-Length: 0\r\nLocation: " +
                        elsewhere.url() + "\r\n\r\n");
      },
      tls);
  const auto transport = http::make_transport(
      {.ca_files = {ours.certificate},
       .client_certificates = {{server.url(), client.certificate, client.key}}});
  CHECK(get(*transport, server.url()).body == "private");
  CHECK(server.client_certificates() == 1);
  CHECK(elsewhere.connections() == 1);
  CHECK(elsewhere.client_certificates() == 0);
}

TEST_CASE("a client key that cannot be used is an error, not a question on the terminal",
          "[http][tls]") {
  const CertificateMaker maker;
  const Certificate ours = maker.authority("ours");
  const Certificate client = maker.client("client", ours);
  ScriptedServer server(answer_all, tls_of(maker.server("server", ours)));
  for (const std::string& key : {maker.encrypted(client), ours.key, client.certificate}) {
    CAPTURE(key);
    const Error error = refusal({.ca_files = {ours.certificate},
                                 .client_certificates = {{server.url(), client.certificate, key}}},
                                server.url());
    CHECK(error.code() == ErrorCode::invalid_input);
    CHECK_FALSE(error.hint().empty());
  }
}

TEST_CASE("a server that speaks no TLS is Error{unavailable}", "[http][tls]") {
  ScriptedServer server([](Scripted& client) {
    client.read(16);
    client.answer("400 Bad Request");
  });
  CHECK(refusal({}, "https://" + server.host() + "/").code() == ErrorCode::unavailable);
}
