#pragma once

#include "aipack/http/http.hpp"
#include "aipack/registry/registry.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

/// What a token must allow. Source: distribution's token scope grammar, "repository:NAME:ACTIONS".
struct Scope {
  std::string repository; ///< as the endpoint calls it
  bool push = false;
  bool remove = false;
  bool operator==(const Scope&) const = default;
};

/// May the same request be sent twice without harm?
enum class Repeat {
  safe,  ///< HEAD, GET, PUT of a manifest, empty POST: tried again as Patience says
  never, ///< PATCH and PUT of an upload: the uploader re-synchronises with the registry first
};

/// Who decides how fast a request goes.
enum class Pace {
  own,    ///< it runs as fast as the network; it counts among the requests at once
  reader, ///< its body is taken as slowly as a reader likes: it must not keep others waiting
};

/// One request to the distribution API.
struct Call {
  std::string verb; ///< for messages: "push blob 'sha256:…'", "read manifest 'r.example/a:1'"
  std::string method = "GET";
  std::string target; ///< path below the endpoint's origin, "/v2/…", or an absolute URL (an
                      ///< upload's Location)
  std::vector<http::Header> headers{};
  http::Request transfer{}; ///< sink, on_head, body, body_bytes, max_body_bytes; the session says
                            ///< the rest
  std::vector<int>
      accepted{}; ///< statuses that are handed back; others throw RegistryError. Empty: any 2xx
  Repeat repeat = Repeat::safe;
  Pace pace = Pace::own;
  bool carries_secret = false; ///< in its body: no redirect may take it to another origin
};

/// Talks to one endpoint: authorises, retries, slows down and explains. Every request of the
/// component goes through send(). Threads: safe.
///
/// - `Authorization` goes to the endpoint's origin only; a Location or redirect elsewhere gets
///   none, and never from https to http, nor to private addresses that are not the endpoint's.
/// - 401 with a challenge: a token (or Basic) for all scopes of the session, then once more, with
///   the body opened again: a registry that says 401 has taken nothing. This holds for
///   Repeat::never as well. A token that is about to end is renewed before a request starts.
/// - 429 and 503 hold back every thread that talks to this endpoint, and halve how many may.
/// - A request whose answer was begun to be delivered (on_head, sink) is not repeated here.
/// - An answer that is not accepted is a RegistryError with its status; one that never came is a
///   RegistryError{unavailable} with status 0.
class Session {
public:
  virtual ~Session() = default;
  virtual http::Response send(const Call& call, const Operation& op) = 0;
  [[nodiscard]] virtual const Endpoint& endpoint() const noexcept = 0;
  /// Adds to what tokens are asked for; cheap when it is known already.
  virtual void expect(const Scope& scope) = 0;
};

/// True for answers after which the same request may do better: 408, 429, 499, 500, 502, 503, 504,
/// 522.
[[nodiscard]] bool is_worth_repeating(int status) noexcept;

/// Who asked, as far as an explanation needs it.
struct Standing {
  std::string host{};             ///< for `aipack login HOST`
  bool logged_in = false;         ///< credentials were sent
  std::string user{};             ///< may be empty
  std::string server{"registry"}; ///< who answered
};

/// RegistryError for an answer that `call` does not accept: code by status and the registry's
/// codes, message, request id, hint (distribution-spec 1.1, "Error Codes").
[[nodiscard]] RegistryError explain(const Call& call, const http::Response& response,
                                    unsigned tries, const Standing& standing = {});
/// The same for a request that no answer came to; `cause` is what the transport said.
[[nodiscard]] RegistryError explain_silence(const Call& call, const std::string& url,
                                            const Error& cause, unsigned tries);
/// For a 2xx answer that is a page for people: a captive portal, a proxy, a web server.
[[nodiscard]] RegistryError explain_web_page(const Call& call, const http::Response& response);

/// "/v2/NAME/KIND/LAST" with each part percent-encoded where it must be. Without `last`
/// "/v2/NAME/KIND".
[[nodiscard]] std::string api_path(std::string_view repository, std::string_view kind,
                                   std::string_view last);
/// RFC 3986: everything but unreserved characters becomes %XX.
[[nodiscard]] std::string percent_encoded(std::string_view text);

} // namespace aipack::registry
