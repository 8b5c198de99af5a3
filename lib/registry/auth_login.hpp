#pragma once

#include "aipack/http/http.hpp"
#include "aipack/registry/registry.hpp"

#include "auth_cache.hpp"
#include "session.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace aipack::registry {

/// How one endpoint wants to know who asks. Learnt from its first challenge and shared by its
/// sessions, so that requests carry an authorisation from the start and no body is sent in vain.
class KnownChallenge {
public:
  enum class Kind { none, basic, bearer };
  struct Value {
    Kind kind = Kind::none;
    std::string realm{}; ///< of bearer: URL of the token server
    std::string service{};
    bool operator==(const Value&) const = default;
  };
  [[nodiscard]] Value get() const;
  void set(Value value);

private:
  mutable std::mutex mutex_;
  Value value_{};
};

/// Sends a request to a token server, as often as Patience says; answers and errors are explained
/// by `call`.
using SendTokenRequest =
    std::function<http::Response(const Call& call, const Standing& standing, const Operation& op)>;

/// What one session says about who it is: nothing, a password, or tokens for its scopes.
/// Threads: safe.
class Login {
public:
  /// What an authorised request carried. Compare with what is known now to tell whether a refusal
  /// is news.
  struct Ticket {
    std::string authorization{}; ///< empty: none
    TokenPtr token{};            ///< null: none, or not from a token server
    std::string cache_key{};
  };

  struct Shared { ///< between the sessions of one endpoint; must outlive them
    KnownChallenge challenge{};
    TokenCache tokens{};
  };

  Login(const Endpoint& endpoint, std::shared_ptr<CredentialStore> credentials,
        std::shared_ptr<Shared> shared, SendTokenRequest send);

  /// Adds to what tokens are asked for, "repository:NAME:ACTIONS".
  void expect(std::string_view scope);

  /// What a request to the endpoint should carry now. May ask the token server.
  [[nodiscard]] Ticket ticket(const Operation& op);
  /// The registry answered 401 to a request with `ticket`. Returns when another try with a new
  /// ticket may be accepted; false: this answer is final.
  [[nodiscard]] bool learn(const Ticket& ticket, const http::Response& response, const Call& call,
                           const Operation& op);

  [[nodiscard]] Standing standing() const;

private:
  [[nodiscard]] const Credential* credential(const Operation& op);
  [[nodiscard]] Ticket bearer_ticket(const KnownChallenge::Value& challenge, const Operation& op);
  [[nodiscard]] TokenAnswer fetch(const KnownChallenge::Value& challenge,
                                  const std::vector<std::string>& scopes, const Operation& op);
  [[nodiscard]] std::optional<TokenAnswer> fetch_oauth2(const KnownChallenge::Value& challenge,
                                                        const std::vector<std::string>& scopes,
                                                        const Operation& op);
  [[nodiscard]] TokenAnswer fetch_simple(const KnownChallenge::Value& challenge,
                                         const std::vector<std::string>& scopes,
                                         const Operation& op);
  [[nodiscard]] Call token_call() const;

  const Endpoint& endpoint_;
  const http::Origin origin_;
  std::shared_ptr<CredentialStore> credentials_;
  std::shared_ptr<Shared> shared_;
  SendTokenRequest send_;

  mutable std::mutex mutex_; ///< of the scopes and the refresh token
  ScopeSet scopes_;
  Secret refresh_token_{}; ///< in place of the credential's, once the token server gave a new one

  mutable std::mutex credential_mutex_; ///< held while a helper program may ask a person
  bool credential_asked_ = false;
  std::optional<Credential> credential_{};
};

} // namespace aipack::registry
