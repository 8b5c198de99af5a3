#include "aipack/registry/settings.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "auth_file.hpp"
#include "settings_tables.hpp"

#include <algorithm>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

namespace aipack::registry {
namespace {

constexpr std::string_view docker_hub_api = "registry-1.docker.io";

template <class T>
void take(std::optional<T>& into, const std::optional<T>& stronger) {
  if (stronger) {
    into = stronger;
  }
}

/// localhost and what is below it (RFC 6761, section 6.3), 127.0.0.0/8, ::1.
bool is_loopback(std::string_view host) {
  std::string name(host);
  if (name.starts_with('[')) {
    name = name.substr(1, name.find(']') - 1);
    in6_addr address{};
    return ::inet_pton(AF_INET6, name.c_str(), &address) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&address) ||
            (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127));
  }
  name = name.substr(0, name.find(':'));
  in_addr address{};
  if (::inet_pton(AF_INET, name.c_str(), &address) == 1) {
    return ntohl(address.s_addr) >> 24 == 127;
  }
  return name == "localhost" || name.ends_with(".localhost");
}

/// What of the repository comes after the prefix; empty: the prefix does not match. A bare host
/// does not match the same host with a port.
std::optional<std::string_view> rest_after(const Prefix& prefix, const RepositoryName& name) {
  const Place& place = prefix.place;
  std::string_view rest = name.repository;
  if (prefix.wildcard) {
    const bool is_below = name.host.size() > place.host.size() && name.host.ends_with(place.host);
    return is_below ? std::optional(rest) : std::nullopt;
  }
  if (place.host != name.host || !rest.starts_with(place.path)) {
    return std::nullopt;
  }
  rest.remove_prefix(place.path.size());
  if (!place.suffix.empty()) {
    const bool is_same = rest.empty() && (place.suffix == name.tag || place.suffix == name.digest ||
                                          place.suffix == name.tag + name.digest);
    return is_same ? std::optional(rest) : std::nullopt;
  }
  if (place.path.empty() || rest.empty()) {
    return rest;
  }
  return rest.front() == '/' ? std::optional(rest.substr(1)) : std::nullopt;
}

bool is_about_itself(const RegistryTable& table) {
  return !table.location ||
         (!table.prefix.wildcard && table.location->host == table.prefix.place.host);
}

} // namespace

std::optional<Place> Place::parse(std::string_view text) {
  while (text.ends_with('/')) {
    text.remove_suffix(1);
  }
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string host(text.substr(0, slash));
  const bool has_path = slash != text.size();
  const auto reference = oci::Reference::try_parse(has_path ? std::string(text) : host + "/x");
  if (!reference || reference->registry() != host) {
    return std::nullopt;
  }
  Place place{canonical_host(host), {}, {}};
  if (has_path) {
    place.path = reference->repository();
    place.suffix = text.substr(slash + 1 + place.path.size());
  }
  return place;
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
  const bool wildcard = text.starts_with("*.");
  auto place = Place::parse(wildcard ? text.substr(2) : text);
  if (!place) {
    return std::nullopt;
  }
  if (wildcard) {
    if (!place->path.empty() || place->host.find(':') != std::string::npos) {
      return std::nullopt;
    }
    place->host.insert(0, ".");
  }
  return Prefix{*std::move(place), wildcard};
}

std::string Prefix::to_string() const {
  return (wildcard ? "*" : "") + place.host + (place.path.empty() ? "" : "/" + place.path) +
         place.suffix;
}

void Traits::overlay(const Traits& stronger) {
  take(insecure, stronger.insecure);
  take(plain_http, stronger.plain_http);
  take(ca_file, stronger.ca_file);
  take(client_certificate, stronger.client_certificate);
  take(client_key, stronger.client_key);
  take(proxy, stronger.proxy);
  take(upload, stronger.upload);
  take(chunk_bytes, stronger.chunk_bytes);
  take(concurrency, stronger.concurrency);
}

void RegistryTable::overlay(const RegistryTable& stronger) {
  take(location, stronger.location);
  traits.overlay(stronger.traits);
  take(blocked, stronger.blocked);
  take(mirror_by_digest_only, stronger.mirror_by_digest_only);
  take(mirrors, stronger.mirrors);
  if (stronger.blocked) {
    file = stronger.file;
  }
}

RepositoryName RepositoryName::below(const Place& place, std::string_view rest) {
  RepositoryName name{place.host, place.path, {}, {}};
  name.repository += (place.path.empty() || rest.empty() ? "" : "/") + std::string(rest);
  if (name.host == docker_hub && name.repository.find('/') == std::string::npos) {
    name.repository.insert(0, "library/");
  }
  if (!oci::Reference::try_parse(name.to_string())) { // too long, or no repository at all
    throw Error(ErrorCode::invalid_input, "cannot use the location " + quoted(name.to_string()) +
                                              " of the registry settings: it is no repository");
  }
  return name;
}

RepositoryName RepositoryName::of(const oci::Reference& reference) {
  if (reference.registry().empty()) {
    throw Error(ErrorCode::invalid_input,
                "cannot find the registry of " + quoted(reference.to_string()) + ": it names none")
        .with_hint("write the registry's host in front, for example 'registry.example/" +
                   reference.repository() + "'");
  }
  auto name = below({canonical_host(reference.registry()), {}, {}}, reference.repository());
  name.tag = reference.tag().empty() ? "" : ":" + reference.tag();
  name.digest = reference.digest() ? "@" + reference.digest()->to_string() : "";
  return name;
}

void RegistrySettings::Data::add(std::vector<RegistryTable> more, SettingsFormat format) {
  for (RegistryTable& table : more) {
    const auto [at, is_new] = tables.try_emplace(table.prefix.to_string(), table);
    if (!is_new && format == SettingsFormat::aipack) {
      at->second.overlay(table);
    } else if (!is_new) {
      at->second = std::move(table);
    }
  }
  if (tables.size() > max_registries) {
    throw Error(
        ErrorCode::invalid_input,
        fmt::format("cannot use the registry settings: more than {} tables", max_registries));
  }
}

RegistrySettings::Data::Match RegistrySettings::Data::match(const RepositoryName& name) const {
  Match best;
  std::pair<bool, std::size_t> best_rank;
  for (const auto& [text, table] : tables) {
    const auto rest = rest_after(table.prefix, name);
    const std::pair rank{!table.prefix.wildcard, text.size()};
    if (rest && (best.table == nullptr || rank > best_rank)) {
      best = {&table, std::string(*rest)};
      best_rank = rank;
    }
  }
  return best;
}

bool RegistrySettings::Data::is_blocked(const RepositoryName& name) const {
  const auto found = match(name);
  return found.table != nullptr && found.table->blocked == true;
}

void RegistrySettings::Data::check_blocked(const RepositoryName& name) const {
  if (is_blocked(name)) {
    const auto found = match(name);
    throw Error(ErrorCode::denied, fmt::format("cannot use {}: {} blocks it",
                                               quoted(name.to_string()), quoted(found.table->file)))
        .with_hint("take 'blocked' out of its table for '" + found.table->prefix.to_string() + "'");
  }
}

Traits RegistrySettings::Data::traits_at(const RepositoryName& name) const {
  const auto found = match(name);
  return found.table != nullptr && is_about_itself(*found.table) ? found.table->traits : Traits{};
}

/// containers-certs.d(5): `*.crt` are CAs, `*.cert` and `*.key` of one name a client's pair. Of
/// several pairs the first is used.
void RegistrySettings::Data::add_certificates(Endpoint& endpoint) const {
  const auto found = certificates.find(endpoint.credential_host);
  if (found == certificates.end()) {
    return;
  }
  const auto& [path, names] = found->second;
  for (const std::string& name : names) {
    if (name.ends_with(".crt")) {
      endpoint.ca_files.push_back((path / name).string());
    }
    const bool is_key = name.ends_with(".key");
    if (!is_key && !name.ends_with(".cert")) {
      continue;
    }
    const auto partner = std::filesystem::path(name).replace_extension(is_key ? ".cert" : ".key");
    if (!std::ranges::binary_search(names, partner.string())) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot use the client certificate {}: {} is missing beside it",
                              quoted((path / name).string()), quoted(partner.string())))
          .with_hint("certificates of authorities are named '*.crt'");
    }
    if (!is_key && endpoint.client_certificate.empty()) {
      endpoint.client_certificate = (path / name).string();
      endpoint.client_key = (path / partner).string();
    }
  }
}

Endpoint RegistrySettings::Data::endpoint_at(const RepositoryName& name, const Traits& traits,
                                             bool named) const {
  Endpoint endpoint;
  endpoint.host = name.host == docker_hub ? docker_hub_api : name.host;
  endpoint.repository = name.repository;
  endpoint.credential_host = name.host;
  add_certificates(endpoint);
  if (traits.ca_file) {
    endpoint.ca_files.push_back(*traits.ca_file);
  }
  if (traits.client_certificate) {
    endpoint.client_certificate = *traits.client_certificate;
    endpoint.client_key = traits.client_key.value_or("");
  }
  const bool has_tls = !endpoint.ca_files.empty() || !endpoint.client_certificate.empty();
  const bool is_plain =
      (plain_http && named) || traits.plain_http.value_or(is_loopback(name.host) && !has_tls);
  endpoint.scheme = is_plain ? "http" : "https";
  endpoint.insecure_tls = !is_plain && traits.insecure.value_or(false);
  endpoint.proxy = traits.proxy.value_or("");
  endpoint.upload = traits.upload.value_or(UploadMode::automatic);
  endpoint.chunk_bytes = traits.chunk_bytes.value_or(0);
  endpoint.concurrency = traits.concurrency.value_or(0);
  return endpoint;
}

RegistrySettings::RegistrySettings() : data_(std::make_shared<const Data>()) {}

RegistrySettings::RegistrySettings(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

RegistrySettings RegistrySettings::parse(std::string_view text, std::string_view name,
                                         SettingsFormat format) {
  auto data = std::make_shared<Data>();
  data->add(parse_tables(text, name, format), format);
  return RegistrySettings(std::move(data));
}

RegistrySettings RegistrySettings::with_plain_http() const {
  auto data = std::make_shared<Data>(*data_);
  data->plain_http = true;
  return RegistrySettings(std::move(data));
}

Endpoint RegistrySettings::endpoint(const oci::Reference& reference) const {
  const auto name = RepositoryName::of(reference);
  data_->check_blocked(name);
  return data_->endpoint_at(name, data_->traits_at(name), true);
}

std::vector<Endpoint> RegistrySettings::pull_endpoints(const oci::Reference& reference,
                                                       bool by_digest) const {
  const auto name = RepositoryName::of(reference);
  data_->check_blocked(name);
  const Data::Match found = data_->match(name);
  const RegistryTable* table = found.table;
  if (table == nullptr) {
    return {endpoint(reference)};
  }
  std::vector<Endpoint> endpoints;
  const auto add = [&](const Place& place, const Traits& traits, bool is_mirror) {
    const auto target = RepositoryName::below(place, found.rest);
    if (is_mirror && data_->is_blocked(target)) {
      return; // the others have it as well
    }
    data_->check_blocked(target);
    Traits all = data_->traits_at(target);
    all.overlay(traits);
    const bool named = !is_mirror && target.host == name.host;
    endpoints.push_back(data_->endpoint_at(target, all, named));
    endpoints.back().is_mirror = is_mirror;
  };
  const bool digest_only = table->mirror_by_digest_only.value_or(false);
  for (const Mirror& mirror : table->mirrors.value_or(std::vector<Mirror>{})) {
    const bool is_asked = by_digest ? mirror.pull != PullBy::tag_only
                                    : mirror.pull != PullBy::digest_only && !digest_only;
    if (is_asked) {
      add(mirror.location, mirror.traits, true);
    }
  }
  if (table->location) {
    add(*table->location, table->traits, false);
  } else {
    endpoints.push_back(endpoint(reference));
  }
  return endpoints;
}

} // namespace aipack::registry
