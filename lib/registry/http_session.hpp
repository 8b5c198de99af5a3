#pragma once

#include "auth_login.hpp"
#include "session.hpp"
#include "session_gate.hpp"
#include "session_tries.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace aipack::registry {

/// Warning headers, each told once. Threads: safe.
class WarningLog {
public:
  static constexpr std::size_t max_warnings = 100;
  explicit WarningLog(std::function<void(const std::string&)> tell) : tell_(std::move(tell)) {}
  /// Those of an answer. Source: distribution-spec 1.1, "Warnings": `299 - "text"`.
  void read(const std::string& host, const http::Response& response);

private:
  std::function<void(const std::string&)> tell_;
  std::mutex mutex_;
  std::set<std::string> seen_;
};

/// What all sessions with one endpoint share.
struct EndpointState {
  EndpointState(std::shared_ptr<http::HttpTransport> transport_, unsigned concurrency)
      : transport(std::move(transport_)), gate(concurrency) {}
  std::shared_ptr<http::HttpTransport> transport;
  Gate gate;
  std::shared_ptr<Login::Shared> login = std::make_shared<Login::Shared>();
};

/// The session over a transport.
class HttpSession final : public Session {
public:
  /// 401s that one call may answer with another token: one for a token that ended, one for a scope
  /// that the challenge asks for, one to spare.
  static constexpr unsigned max_renewals = 3;

  HttpSession(Endpoint endpoint, std::shared_ptr<EndpointState> state,
              std::shared_ptr<CredentialStore> credentials, Patience patience,
              std::shared_ptr<WarningLog> warnings);

  http::Response send(const Call& call, const Operation& op) override;
  [[nodiscard]] const Endpoint& endpoint() const noexcept override { return endpoint_; }
  void expect(const Scope& scope) override;
  [[nodiscard]] Login& login() noexcept { return login_; }

private:
  [[nodiscard]] std::string locate(const Call& call) const;
  /// One try. Empty: no answer came, and another try is in order.
  [[nodiscard]] std::optional<http::Response> perform(const Call& call, const std::string& url,
                                                      const std::string& authorization,
                                                      const Tries& tries,
                                                      const Operation& op) const;
  [[nodiscard]] http::Response send_token_request(const Call& call, Standing standing,
                                                  const Operation& op) const;

  const Endpoint endpoint_;
  const http::Origin origin_;
  std::shared_ptr<EndpointState> state_;
  const Patience patience_;
  std::shared_ptr<WarningLog> warnings_;
  Login login_;
};

} // namespace aipack::registry
