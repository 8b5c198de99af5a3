#pragma once

#include "aipack/http/http.hpp"
#include "aipack/registry/registry.hpp"

#include <cstdint>
#include <initializer_list>
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

/// One request to the distribution API.
struct Call {
  std::string verb; ///< for messages: "push blob 'sha256:…'", "read manifest 'r.example/a:1'"
  std::string method = "GET";
  std::string target; ///< path below the endpoint's origin, "/v2/…", or an absolute URL (an
                      ///< upload's Location)
  std::vector<http::Header> headers{};
  http::Request transfer{}; ///< sink, on_head, body, body_bytes, max_body_bytes are taken from here
  std::vector<int>
      accepted{}; ///< statuses that are handed back; others throw RegistryError. Empty: any 2xx
  Repeat repeat = Repeat::safe;
};

/// Talks to one endpoint: authorises, retries, slows down and explains. Every request of the
/// component goes through send(). Threads: safe.
///
/// - `Authorization` goes to the endpoint's origin only; a Location or redirect elsewhere gets
/// none,
///   and never from https to http, nor to private addresses that are not the endpoint's.
/// - 401 with a challenge: a token (or Basic) for all scopes of the endpoint, then once more. A
/// token
///   that is about to end is renewed before an upload starts.
/// - 429 and 503 hold back every thread that talks to this endpoint, and lower how many may.
class Session {
public:
  virtual ~Session() = default;
  virtual http::Response send(const Call& call, const Operation& op) = 0;
  [[nodiscard]] virtual const Endpoint& endpoint() const noexcept = 0;
  /// Adds to what tokens are asked for; cheap when it is known already.
  virtual void expect(const Scope& scope) = 0;
};

/// What was learnt about an endpoint, kept in `state_dir` for the next process and shared by the
/// sessions of this one. Unknown is the default of each. A broken file is an empty memory.
class EndpointMemory;

/// RegistryError for an answer that `call` does not accept: code by status and the registry's
/// codes, message, request id, hint (distribution-spec 1.1, "Error Codes").
[[nodiscard]] RegistryError explain(const Call& call, const http::Response& response,
                                    unsigned tries);

/// "/v2/NAME/KIND/LAST" with each part percent-encoded where it must be.
[[nodiscard]] std::string api_path(std::string_view repository, std::string_view kind,
                                   std::string_view last);

} // namespace aipack::registry
