#include "auth_file.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/oci/reference.hpp"

#include "base64.hpp"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace aipack::registry {
namespace {

using Json = nlohmann::ordered_json;

std::string lower(std::string_view text) {
  std::string folded(text);
  for (char& c : folded) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return folded;
}

/// "index.docker.io" is docker's key, "registry-1.docker.io" the API's host.
std::string folded_host(std::string_view text) {
  std::string host = lower(text);
  return host == "index.docker.io" || host == "registry-1.docker.io" ? std::string(docker_hub)
                                                                     : host;
}

/// What a key of `auths` is for.
struct EntryKey {
  std::string host;
  std::string path; ///< namespace or repository; empty: the whole host
  bool is_url = false;
};

EntryKey entry_key(std::string_view key, AuthFormat format) {
  bool is_url = format == AuthFormat::legacy;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) {
      key.remove_prefix(scheme.size());
      is_url = true;
      break;
    }
  }
  const std::size_t slash = std::min(key.find('/'), key.size());
  std::string_view path = key.substr(std::min(slash + 1, key.size()));
  is_url = is_url || path == "v1/" || path == "v2/"; // the roots of docker's two APIs
  return {folded_host(key.substr(0, slash)), is_url ? std::string() : std::string(path), is_url};
}

/// A string member, without it or with null the empty string.
std::optional<std::string> text_of(const Json& entry, const char* name) {
  const auto found = entry.find(name);
  if (found == entry.end() || found->is_null()) {
    return std::string();
  }
  return found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

bool has_secret(const Credential& credential) noexcept {
  return !credential.password.empty() || !credential.identity_token.empty() ||
         !credential.registry_token.empty();
}

} // namespace

nlohmann::ordered_json parse_secret_json(std::string_view text, const std::string& name) {
  const auto refuse = [&](std::string_view cause) {
    throw FormatError(name, std::nullopt, cause, ErrorCode::invalid_input);
  };
  if (text.size() > max_auth_file_bytes) {
    refuse("it is larger than " + std::to_string(max_auth_file_bytes) + " bytes");
  }
  std::vector<std::set<std::string>> keys; // of each open object
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    if (static_cast<std::size_t>(depth) > max_auth_depth) {
      refuse("its JSON is nested more than " + std::to_string(max_auth_depth) + " levels deep");
    }
    if (event == Event::object_start) {
      keys.emplace_back();
    } else if (event == Event::object_end) {
      keys.pop_back();
    } else if (event == Event::key && !keys.back().insert(parsed.get<std::string>()).second) {
      refuse("one of its keys stands twice"); // which of the two secrets is meant?
    }
    return true;
  };
  Json root;
  try {
    root = Json::parse(text, watch);
  } catch (const Json::parse_error& error) { // its message quotes the text
    throw FormatError(name, error.byte, "it is not valid JSON", ErrorCode::invalid_input);
  } catch (const Json::exception&) { // a number outside every range
    refuse("it is not valid JSON");
  }
  if (!root.is_object()) {
    refuse("its JSON is no object");
  }
  return root;
}

std::string canonical_host(std::string_view text) {
  const auto reference = oci::Reference::try_parse(std::string(text) + "/x");
  if (!reference || reference->registry() != text) {
    throw Error(ErrorCode::invalid_input, "cannot use registry " + quoted(redacted_url(text)) +
                                              ": it is no host name with an optional port")
        .with_hint("write it as 'registry.example' or 'registry.example:5000'");
  }
  return folded_host(text);
}

Credential make_credential(std::string_view username, std::string_view secret, std::string origin) {
  Credential credential;
  credential.origin = std::move(origin);
  if (username == token_user) {
    credential.identity_token = Secret(secret);
  } else {
    credential.username = username;
    credential.password = Secret(secret);
  }
  return credential;
}

bool is_token_text(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

AuthFile AuthFile::parse(std::string_view text, std::string name, AuthFormat format) {
  Json root = trim(text).empty() ? Json::object() : parse_secret_json(text, name);
  return {std::move(root), std::move(name), format};
}

void AuthFile::refuse(std::string_view cause) const {
  throw FormatError(name_, std::nullopt, cause, ErrorCode::invalid_input);
}

const Json* AuthFile::member(const char* name, bool (Json::*is_type)() const noexcept,
                             std::string_view cause) const {
  const auto found = root_.find(name);
  if (found == root_.end() || found->is_null()) {
    return nullptr;
  }
  if (!((*found).*is_type)()) {
    refuse(cause);
  }
  return &*found;
}

const Json* AuthFile::auths() const {
  return format_ == AuthFormat::legacy
             ? &root_
             : member("auths", &Json::is_object, "its member 'auths' must be an object");
}

std::optional<AuthFile::Helper> AuthFile::own_helper(std::string_view host) const {
  if (format_ == AuthFormat::legacy) {
    return std::nullopt;
  }
  const Json* helpers =
      member("credHelpers", &Json::is_object, "its member 'credHelpers' must be an object");
  if (helpers == nullptr) {
    return std::nullopt;
  }
  for (const auto& [key, value] : helpers->items()) {
    const EntryKey parsed = entry_key(key, format_);
    if (parsed.host == host && parsed.path.empty()) {
      if (!value.is_string()) {
        refuse("its member 'credHelpers' must hold names of helpers");
      }
      return Helper{value.get<std::string>(), key};
    }
  }
  return std::nullopt;
}

std::optional<AuthFile::Helper> AuthFile::default_helper(std::string_view host) const {
  if (format_ == AuthFormat::legacy) {
    return std::nullopt;
  }
  const Json* store = member("credsStore", &Json::is_string,
                             "its member 'credsStore' must be the name of a helper");
  if (store == nullptr || store->get_ref<const std::string&>().empty()) {
    return std::nullopt;
  }
  return Helper{store->get<std::string>(), std::string(host == docker_hub ? docker_hub_key : host)};
}

Credential AuthFile::decode(std::string_view host, const Json& entry) const {
  const std::string subject = "its entry for " + quoted(host);
  if (!entry.is_object()) {
    refuse(subject + " must be an object");
  }
  const auto text = [&](const char* name) {
    auto value = text_of(entry, name);
    if (!value) {
      refuse(subject + " has a member '" + name + "' that is no string");
    }
    return *std::move(value);
  };
  Credential credential;
  if (const std::string auth = text("auth"); !auth.empty()) {
    const auto pair = base64_decode(trim(auth));
    const std::size_t colon = pair ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      refuse(subject + " has a member 'auth' that is not 'user:password' in base64");
    }
    std::string_view password = std::string_view(*pair).substr(colon + 1);
    while (password.ends_with('\0')) { // old dockers padded with them
      password.remove_suffix(1);
    }
    credential = make_credential(pair->substr(0, colon), password, {});
  } else {
    credential = make_credential(text("username"), text("password"), {});
  }
  if (const std::string token = text("identitytoken"); !token.empty()) {
    credential.identity_token = Secret(token);
    credential.password = Secret();
  }
  if (const std::string token = text("registrytoken"); !token.empty()) {
    if (!is_token_text(token)) {
      refuse(subject + " has a member 'registrytoken' with spaces or control characters");
    }
    credential.registry_token = Secret(token);
  }
  return credential;
}

std::optional<Credential> AuthFile::find(std::string_view host, std::string_view repository) const {
  const Json* entries = auths();
  if (entries == nullptr) {
    return std::nullopt;
  }
  std::vector<std::pair<EntryKey, const Json*>> candidates;
  for (const auto& [key, value] : entries->items()) {
    if (EntryKey parsed = entry_key(key, format_); parsed.host == host) {
      candidates.emplace_back(std::move(parsed), &value);
    }
  }
  const auto usable = [&](std::string_view path, bool is_url) -> std::optional<Credential> {
    for (const auto& [parsed, entry] : candidates) {
      if (parsed.path == path && parsed.is_url == is_url) {
        if (Credential credential = decode(host, *entry); has_secret(credential)) {
          return credential;
        }
      }
    }
    return std::nullopt;
  };
  for (std::string_view path = repository; !path.empty();) {
    if (auto credential = usable(path, false)) {
      return credential;
    }
    const std::size_t slash = path.rfind('/');
    path = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  }
  auto credential = usable({}, false);
  return credential ? credential : usable({}, true);
}

void AuthFile::set(std::string_view host, std::string_view new_key, const Credential* credential) {
  static_cast<void>(auths()); // whatever stands there must be an object
  Json& entries = root_["auths"];
  if (entries.is_null()) {
    entries = Json::object();
  }
  // Over the entry that lookups see first: two entries for one host would contradict each other.
  std::string key(new_key);
  bool found = false;
  for (const bool is_url : {false, true}) {
    for (const auto& [name, value] : entries.items()) {
      const EntryKey parsed = entry_key(name, format_);
      if (!found && parsed.host == host && parsed.path.empty() && parsed.is_url == is_url) {
        key = name;
        found = true;
      }
    }
  }
  Json entry = Json::object();
  if (credential != nullptr) {
    if (!credential->username.empty() || !credential->password.empty()) {
      entry["auth"] = base64_encode(credential->username + ":" + credential->password.reveal());
    }
    if (!credential->identity_token.empty()) {
      entry["identitytoken"] = credential->identity_token.reveal();
    }
    if (!credential->registry_token.empty()) {
      entry["registrytoken"] = credential->registry_token.reveal();
    }
  }
  entries[key] = std::move(entry);
}

bool AuthFile::erase(std::string_view host) {
  if (auths() == nullptr) {
    return false;
  }
  Json& entries = root_["auths"];
  bool had_secret = false;
  Json kept = Json::object();
  for (const auto& [key, value] : entries.items()) {
    const EntryKey parsed = entry_key(key, format_);
    if (parsed.host == host && parsed.path.empty()) {
      had_secret = had_secret || !value.is_object() || !value.empty();
    } else {
      kept[key] = value;
    }
  }
  entries = std::move(kept);
  return had_secret;
}

std::string AuthFile::to_text() const {
  try {
    return root_.dump(1, '\t') + "\n";
  } catch (const Json::exception&) { // its message quotes the text
    throw Error(ErrorCode::invalid_input,
                "cannot write " + quoted(name_) + ": a token in it is not UTF-8");
  }
}

} // namespace aipack::registry
