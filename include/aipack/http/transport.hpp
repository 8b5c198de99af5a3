#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/http/message.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace aipack::http {

/// Performs requests. Threads: perform() may run on several at once; connections are reused.
struct AIPACK_API HttpTransport {
  virtual ~HttpTransport() = default;
  /// The response, whatever its status; also one that came before the request body was sent. Throws
  /// Error{unavailable} when none came or a 2xx one broke off, Error{invalid_input} for a URL that
  /// cannot be requested, Error{unauthenticated} for a proxy that refuses, Error{cancelled}. URLs
  /// in messages are redacted.
  virtual Response perform(const Request& request, const Operation& op) = 0;
};

/// One request and its answer as they went over the wire; a followed redirect is one more. Holds no
/// secret.
struct Exchange {
  std::string method;
  std::string url;                  ///< without user info, query and fragment
  int status = 0;                   ///< 0: no answer came
  std::uint64_t sent_bytes = 0;     ///< of the request body
  std::uint64_t received_bytes = 0; ///< of the response body
  std::chrono::microseconds duration{0};
};

/// A certificate by which a server knows its client.
struct ClientCertificate {
  /// URL of the one origin that it is offered to: no other sees it, not after a redirect either.
  std::string origin;
  std::string certificate_file; ///< PEM, with its chain
  std::string key_file{};       ///< PEM, not encrypted; empty: in `certificate_file`
};

struct TransportOptions {
  std::string user_agent = "aipack";
  /// PEM files of certificate authorities that are trusted *in addition to* the system's: who runs
  /// a private registry also needs public ones, where redirects and tokens lead. (SSL_CERT_FILE and
  /// SSL_CERT_DIR in the environment stand for the system's, as with other users of OpenSSL.)
  std::vector<std::string> ca_files{};
  std::vector<ClientCertificate> client_certificates{};
  /// Servers need not prove who they are, none that this transport talks to. Only for tests and for
  /// networks whose every machine is trusted.
  bool insecure_tls = false;
  /// URL of a proxy for every request but those of NO_PROXY. Empty: https_proxy, http_proxy,
  /// all_proxy and no_proxy of the environment, as curl reads them.
  std::string proxy{};
  /// Path of a socket that every request goes to instead of the URL's host (a container engine's).
  /// No proxy is used, and redirects to other origins are refused.
  std::string unix_socket{};
  /// Called after each exchange, on the thread of perform(): several at once. Should not throw; if
  /// it does, that comes out of perform().
  std::function<void(const Exchange&)> observer{};
};

/// libcurl: HTTP/1.1, TLS verified, no content decoding (digests are of the bytes as served).
/// `file://` URLs work as well (mirrors on disk): GET and HEAD, with ETag and Last-Modified. Reads
/// the files that `options` names; throws Error{not_found, invalid_input}. libcurl is set up by the
/// first request.
///
///     auto transport = make_transport({.ca_files = {"/etc/registry/ca.crt"}});
///     Response response = transport->perform({.url = "https://r.example/v2/"}, op);
[[nodiscard]] AIPACK_API std::unique_ptr<HttpTransport>
make_transport(TransportOptions options = {});

} // namespace aipack::http
