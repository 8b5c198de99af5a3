#include "aipack/registry/registry.hpp"

#include "aipack/core/text.hpp"

#include "http_session.hpp"
#include "memory.hpp"
#include "repository.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

constexpr unsigned max_concurrency = 64;
/// A mirror is a convenience: the registry itself is asked soon after it fails.
constexpr unsigned mirror_attempts = 2;

std::string origin_text(const Endpoint& endpoint) {
  return http::Origin::of(endpoint.scheme + "://" + endpoint.host).to_string();
}

/// A store of one credential, whatever is asked for.
class OneCredential final : public CredentialStore {
public:
  explicit OneCredential(Credential credential) : credential_(std::move(credential)) {}
  std::optional<Credential> find(std::string_view /*registry_host*/,
                                 std::string_view /*repository*/,
                                 const Operation& /*op*/) override {
    return credential_;
  }

private:
  Credential credential_;
};

} // namespace

struct Registry::Impl {
  explicit Impl(RegistryOptions options_)
      : options(std::move(options_)), warnings(std::make_shared<WarningLog>(options.warning)) {
    options.concurrency = std::clamp(options.concurrency, 1U, max_concurrency);
  }

  [[nodiscard]] std::shared_ptr<http::HttpTransport> make_transport(const Endpoint& endpoint) {
    http::TransportOptions made{.user_agent = options.user_agent,
                                .ca_files = endpoint.ca_files,
                                .insecure_tls = endpoint.insecure_tls,
                                .proxy = endpoint.proxy};
    if (!endpoint.client_certificate.empty()) {
      made.client_certificates.push_back({.origin = origin_text(endpoint),
                                          .certificate_file = endpoint.client_certificate,
                                          .key_file = endpoint.client_key});
    }
    made.observer = [count = requests, observer = options.observer](const Exchange& exchange) {
      ++*count;
      if (observer) {
        observer(exchange);
      }
    };
    return http::make_transport(std::move(made));
  }

  /// Connections, tokens and the gate belong to an origin and the way to it.
  [[nodiscard]] std::shared_ptr<EndpointState> state_of(const Endpoint& endpoint) {
    const auto key = std::tuple(origin_text(endpoint), endpoint.insecure_tls, endpoint.ca_files,
                                endpoint.client_certificate, endpoint.client_key, endpoint.proxy);
    const std::lock_guard lock(mutex);
    auto& state = states[key];
    if (!state) {
      const unsigned limit = endpoint.concurrency != 0 ? endpoint.concurrency : options.concurrency;
      state = std::make_shared<EndpointState>(make_transport(endpoint),
                                              std::min(limit, max_concurrency));
    }
    return state;
  }

  [[nodiscard]] std::shared_ptr<EndpointMemory> memory_of(const Endpoint& endpoint) {
    const std::string origin = origin_text(endpoint);
    const std::lock_guard lock(mutex);
    auto& memory = memories[origin];
    if (!memory) {
      memory = std::make_shared<EndpointMemory>(
          options.state_dir.empty() ? std::filesystem::path{}
                                    : EndpointMemory::file_in(options.state_dir, origin),
          origin);
    }
    return memory;
  }

  [[nodiscard]] PlacePtr place_of(const Endpoint& endpoint, Access access) {
    Patience patience = options.patience;
    if (endpoint.is_mirror) {
      patience.attempts = std::min(patience.attempts, mirror_attempts);
    }
    auto session = std::make_shared<HttpSession>(endpoint, state_of(endpoint), options.credentials,
                                                 patience, warnings);
    session->expect({.repository = endpoint.repository,
                     .push = access != Access::pull,
                     .remove = access == Access::push_and_delete});
    return std::make_shared<Place>(std::move(session), memory_of(endpoint));
  }

  RegistryOptions options;
  std::shared_ptr<std::atomic<std::uint64_t>> requests =
      std::make_shared<std::atomic<std::uint64_t>>(0);
  std::shared_ptr<std::atomic<unsigned>> uploads = std::make_shared<std::atomic<unsigned>>(0U);
  std::shared_ptr<WarningLog> warnings;
  std::mutex mutex; ///< of the maps
  std::map<std::tuple<std::string, bool, std::vector<std::string>, std::string, std::string,
                      std::string>,
           std::shared_ptr<EndpointState>>
      states;
  std::map<std::string, std::shared_ptr<EndpointMemory>> memories;
};

Registry::Registry(RegistryOptions options) : impl_(std::make_shared<Impl>(std::move(options))) {}

Registry::~Registry() = default;

Repository Registry::open(const oci::Reference& name, Access access,
                          const std::vector<std::string>& mount_sources) {
  const RegistrySettings& settings = impl_->options.settings;
  auto made = std::make_shared<Repository::Impl>();
  made->patience = impl_->options.patience;
  made->state_dir = impl_->options.state_dir;
  made->uploads = impl_->uploads;
  made->mount_source = [settings, host = name.registry()](const std::string& source) {
    return settings.endpoint(oci::Reference::parse(host + "/" + source)).repository;
  };
  if (access != Access::pull) {
    made->home = impl_->place_of(settings.endpoint(name), access);
    for (const std::string& source : mount_sources) {
      made->home->session->expect({.repository = made->mount_source(source)});
    }
    made->by_digest = made->by_tag = {made->home};
  } else {
    // The same endpoint in both lists is one place: one session, one verdict about a mirror.
    std::vector<std::pair<Endpoint, PlacePtr>> known;
    const auto places_of = [&](bool by_digest) {
      std::vector<PlacePtr> places;
      for (const Endpoint& endpoint : settings.pull_endpoints(name, by_digest)) {
        auto found = std::ranges::find(known, endpoint, &std::pair<Endpoint, PlacePtr>::first);
        if (found == known.end()) {
          found = known.insert(found, {endpoint, impl_->place_of(endpoint, access)});
        }
        places.push_back(found->second);
      }
      return places;
    };
    made->by_digest = places_of(true);
    made->by_tag = places_of(false);
    made->home = made->by_tag.back();
  }
  auto short_name = oci::Reference::parse(name.registry() + "/" + name.repository());
  return {std::move(short_name), std::move(made)};
}

LoginCheck Registry::check_login(std::string_view host, const Credential& credential,
                                 const Operation& op) {
  // The settings of a registry are found by a reference; any repository will do.
  Endpoint endpoint =
      impl_->options.settings.endpoint(oci::Reference::parse(fmt::format("{}/check", host)));
  endpoint.repository.clear();
  // Nothing shared: tokens of other credentials must not answer for these.
  const auto state = std::make_shared<EndpointState>(impl_->make_transport(endpoint), 1);
  HttpSession session(endpoint, state, std::make_shared<OneCredential>(credential),
                      impl_->options.patience, impl_->warnings);
  Call call;
  call.verb = fmt::format("log in to {}", quoted(endpoint.credential_host));
  call.target = "/v2/";
  session.send(call, op);
  if (state->login->challenge.get().kind != KnownChallenge::Kind::none) {
    return LoginCheck::verified;
  }
  // It lets everybody in. One that looks at credentials all the same refuses wrong ones here.
  state->login->challenge.set({.kind = KnownChallenge::Kind::basic});
  if (session.login().ticket(op).authorization.empty()) {
    return LoginCheck::not_asked;
  }
  session.send(call, op);
  return state->login->challenge.get().kind == KnownChallenge::Kind::bearer ? LoginCheck::verified
                                                                            : LoginCheck::not_asked;
}

std::uint64_t Registry::requests() const noexcept {
  return *impl_->requests;
}

} // namespace aipack::registry
