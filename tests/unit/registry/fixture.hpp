#pragma once

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/http/http.hpp"
#include "aipack/oci/document.hpp"
#include "aipack/registry/registry.hpp"

#include "http_session.hpp"
#include "support/catch.hpp"
#include "support/registry_server.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What tests of the client side share: a client that does not wait long, and small content.
namespace aipack::registry_test {

using registry::Access;
using registry::Credential;
using registry::Document;
using registry::Registry;
using registry::RegistryError;
using registry::Secret;
using test::RegistryDialect;
using test::RegistryFault;
using test::RegistryServer;
using namespace std::chrono_literals;

inline registry::Patience hasty() {
  return {.attempts = 4,
          .first_delay = 1ms,
          .max_delay = 4ms,
          .max_retry_after = 5s,
          .stall_timeout = 3s,
          .answer_timeout = 5s};
}

/// One credential for one host and all that is asked for; remembers who asked.
class KnownCredential final : public registry::CredentialStore {
public:
  KnownCredential(std::string host, Credential credential)
      : host_(std::move(host)), credential_(std::move(credential)) {}
  std::optional<Credential> find(std::string_view host, std::string_view /*repository*/,
                                 const Operation& /*op*/) override {
    const std::lock_guard lock(mutex_);
    ++asked_;
    return host == host_ ? std::optional(credential_) : std::nullopt;
  }
  [[nodiscard]] int asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

private:
  std::string host_;
  Credential credential_;
  mutable std::mutex mutex_;
  int asked_ = 0;
};

inline Credential password(std::string_view word = "correct horse") {
  return {.username = "user", .password = Secret(word)};
}

inline std::shared_ptr<registry::CredentialStore> store(const std::string& host,
                                                        Credential credential = password()) {
  return std::make_shared<KnownCredential>(host, std::move(credential));
}

inline registry::RegistryOptions options(std::shared_ptr<registry::CredentialStore> who = {}) {
  return {.credentials = std::move(who), .patience = hasty()};
}

inline oci::Reference reference(const std::string& host, const std::string& name = "team/model") {
  return oci::Reference::parse(host + "/" + name);
}

/// An image manifest with an empty config and no layers.
inline std::string manifest_text(std::string_view more = "") {
  return std::string(R"({"schemaVersion":2,"mediaType":")") +
         std::string(oci::media_type::manifest) +
         R"(","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":)"
         R"("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},)"
         R"("layers":[])" +
         std::string(more) + "}";
}

inline Document document(std::string bytes,
                         std::string_view media_type = oci::media_type::manifest) {
  oci::Descriptor descriptor{.media_type = std::string(media_type),
                             .digest = oci::Digest::of(bytes),
                             .size_bytes = bytes.size()};
  return {.descriptor = std::move(descriptor), .bytes = std::move(bytes)};
}

inline oci::Descriptor blob_descriptor(std::string_view bytes) {
  return {.media_type = "application/octet-stream",
          .digest = oci::Digest::of(bytes),
          .size_bytes = bytes.size()};
}

/// What goes wrong, as an error of its type; the test fails when nothing does.
template <class E = Error, class Fn>
E failure_of(Fn&& fn) {
  try {
    std::forward<Fn>(fn)();
  } catch (const E& error) {
    return error;
  }
  FAIL("nothing went wrong");
  std::abort();
}

/// A session with one endpoint, below what users see.
struct Line {
  explicit Line(const std::string& host, std::shared_ptr<registry::CredentialStore> who = {},
                unsigned concurrency = 6, registry::Patience patience = hasty())
      : state(std::make_shared<registry::EndpointState>(http::make_transport(), concurrency)),
        session(
            {.scheme = "http", .host = host, .repository = "team/model", .credential_host = host},
            state, std::move(who), patience,
            std::make_shared<registry::WarningLog>(
                [this](const std::string& text) { warnings.push_back(text); })) {}
  http::Response get(const std::string& target, std::vector<int> accepted = {}) {
    registry::Call call;
    call.verb = "read it";
    call.target = target;
    call.accepted = std::move(accepted);
    return session.send(call, {});
  }
  std::vector<std::string> warnings{};
  std::shared_ptr<registry::EndpointState> state;
  registry::HttpSession session;
};

} // namespace aipack::registry_test
