#include "aipack/registry/credentials.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "auth_file.hpp"
#include "credential_helper.hpp"
#include "environment.hpp"
#include "locked_file.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aipack::registry {
namespace {

namespace fs = std::filesystem;

/// resize() within the capacity allocates nothing, and reaches bytes of a text that was longer
/// once.
void wipe(std::string& text) noexcept {
  text.resize(text.capacity());
  ::explicit_bzero(text.data(), text.size());
  text.clear();
}

/// One file in the order of the search.
struct Source {
  fs::path path;
  AuthFormat format = AuthFormat::current;
  bool must_exist = false;
};

std::vector<Source> files_before_environment(const CredentialFilesOptions& options) {
  if (options.auth_file.empty()) {
    return {};
  }
  return {{.path = options.auth_file, .must_exist = true}};
}

std::vector<Source> files_after_environment(const CredentialFilesOptions& options) {
  std::vector<Source> sources;
  const auto add = [&](const fs::path& directory, const fs::path& rest) {
    if (!directory.empty()) {
      sources.push_back({.path = directory / rest});
    }
  };
  if (const fs::path path = value_of(options.environment, "REGISTRY_AUTH_FILE"); !path.empty()) {
    sources.push_back({.path = path, .must_exist = true});
  }
  if (const fs::path path = value_of(options.environment, "XDG_RUNTIME_DIR"); path.is_absolute()) {
    add(path, "containers/auth.json");
  } else { // where podman goes without it, as root and as a user
    add(options.run_dir, fmt::format("containers/{}/auth.json", ::getuid()));
    add(options.run_dir, fmt::format("user/{}/containers/auth.json", ::getuid()));
  }
  add(config_home(options.environment, options.home), "containers/auth.json");
  if (const fs::path path = value_of(options.environment, "DOCKER_CONFIG"); !path.empty()) {
    add(path, "config.json");
  } else {
    add(options.home, ".docker/config.json");
  }
  if (!options.home.empty()) {
    sources.push_back({.path = options.home / ".dockercfg", .format = AuthFormat::legacy});
  }
  return sources;
}

/// What people call a file: quoted, with "~" for their home.
std::string shown(const fs::path& path, const fs::path& home) {
  const auto relative = path.lexically_relative(home);
  const bool is_below = !home.empty() && !relative.empty() && *relative.begin() != "..";
  return quoted(is_below ? (fs::path("~") / relative).string() : path.string());
}

/// Where store() and erase() work.
struct Destination {
  fs::path path;
  std::string_view hub_key; ///< what its readers call Docker Hub
};

Destination destination_of(const CredentialFilesOptions& options) {
  if (!options.auth_file.empty()) {
    return {options.auth_file, docker_hub};
  }
  if (const auto path = value_of(options.environment, "REGISTRY_AUTH_FILE"); !path.empty()) {
    return {path, docker_hub};
  }
  if (const fs::path path = value_of(options.environment, "DOCKER_CONFIG"); !path.empty()) {
    return {path / "config.json", docker_hub_key};
  }
  if (options.home.empty()) {
    throw Error(ErrorCode::invalid_input,
                "cannot store credentials: there is neither a home directory nor an auth file")
        .with_hint("name a file with --authfile or REGISTRY_AUTH_FILE");
  }
  return {options.home / ".docker" / "config.json", docker_hub_key};
}

std::optional<Credential> from_environment(const Environment& environment, std::string_view host) {
  const std::string registry = value_of(environment, "AIPACK_REGISTRY");
  const std::string user = value_of(environment, "AIPACK_REGISTRY_USER");
  const std::string password = value_of(environment, "AIPACK_REGISTRY_PASSWORD");
  const std::string token = value_of(environment, "AIPACK_REGISTRY_TOKEN");
  const auto refuse = [](std::string_view cause, std::string_view hint) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use the credentials of the environment: {}", cause))
        .with_hint(std::string(hint));
  };
  if (user.empty() && password.empty() && token.empty()) {
    return std::nullopt;
  }
  if (registry.empty()) {
    refuse("AIPACK_REGISTRY does not say which registry they are for",
           "set AIPACK_REGISTRY to its host, for example 'registry.example:5000'");
  }
  if (!token.empty() && (!user.empty() || !password.empty())) {
    refuse("AIPACK_REGISTRY_TOKEN stands beside a user name or password",
           "unset AIPACK_REGISTRY_TOKEN, or AIPACK_REGISTRY_USER and AIPACK_REGISTRY_PASSWORD");
  }
  if (user.empty() != password.empty()) {
    refuse(user.empty() ? "AIPACK_REGISTRY_USER is not set" : "AIPACK_REGISTRY_PASSWORD is not set",
           "set AIPACK_REGISTRY_USER and AIPACK_REGISTRY_PASSWORD, or neither");
  }
  if (!is_token_text(token)) {
    refuse("AIPACK_REGISTRY_TOKEN has spaces or control characters",
           "set it to the bare token, without a line end");
  }
  if (canonical_host(registry) != host) {
    return std::nullopt;
  }
  if (token.empty()) {
    return make_credential(user, password, "the environment");
  }
  Credential credential;
  credential.registry_token = Secret(token);
  credential.origin = "the environment";
  return credential;
}

/// mkdir -p, with a new last directory closed to others: it is going to hold secrets.
void make_private_directory(const fs::path& directory) {
  std::error_code error;
  if (directory.empty() || fs::is_directory(directory, error)) {
    return;
  }
  if (directory.has_parent_path()) {
    fs::create_directories(directory.parent_path(), error);
  }
  if (!error && ::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    error = std::error_code(errno, std::generic_category());
  }
  if (error) {
    throw_errno("create the directory " + quoted(directory.string()), error.value());
  }
}

std::string text_if_there(const fs::path& path) {
  try {
    return io::read_text_file(path, max_auth_file_bytes);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) {
      return {};
    }
    throw;
  }
}

/// One login at a time: the file itself cannot carry the lock, because it is replaced.
class EditLock {
public:
  EditLock(const fs::path& file, const Operation& op)
      : locked_(LockedFile::open(file.string() + ".aipack-lock", op)) {}
  ~EditLock() { locked_.remove(); }
  EditLock(const EditLock&) = delete;
  EditLock& operator=(const EditLock&) = delete;

private:
  LockedFile locked_;
};

/// Reads, changes and replaces a file; without a change it stays as it is.
template <class Change>
void edit(const fs::path& path, const Operation& op, Change change) {
  // People keep config.json as a link into another tree: the link stays, its target is replaced.
  std::error_code error;
  const fs::path target = fs::weakly_canonical(path, error);
  const fs::path& file = error ? path : target;
  make_private_directory(file.parent_path());
  const EditLock lock(file, op);
  auto contents = AuthFile::parse(text_if_there(file), file.string());
  std::string before = contents.to_text();
  change(contents);
  std::string after = contents.to_text();
  if (after != before) {
    io::write_file_atomically(file, io::as_bytes(after), io::Durability::synced, 0600);
  }
  wipe(before);
  wipe(after);
}

} // namespace

Secret::Secret(Secret&& other) noexcept : text_(std::move(other.text_)) {
  wipe(other.text_); // a short text was copied, not moved
}

Secret& Secret::operator=(const Secret& other) {
  return *this = Secret(other);
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(text_);
    text_ = std::move(other.text_);
    wipe(other.text_);
  }
  return *this;
}

Secret::~Secret() {
  wipe(text_);
}

CredentialFiles::CredentialFiles(CredentialFilesOptions options) : options_(std::move(options)) {}

std::optional<Credential> CredentialFiles::find(std::string_view registry_host,
                                                std::string_view repository, const Operation& op) {
  const std::string host = canonical_host(registry_host);
  const auto notice = [&](const Error& error) {
    if (error.code() == ErrorCode::cancelled) {
      throw error;
    }
    if (options_.notice) {
      options_.notice(error.message());
    }
  };
  const auto ask = [&](const AuthFile::Helper& named, const std::string& file) {
    const CredentialHelper helper(named.name, file, options_.environment, options_.helper_timeout);
    return helper.get(named.server, op);
  };
  const auto look_into = [&](const Source& source) -> std::optional<Credential> {
    std::string text;
    try {
      text = io::read_text_file(source.path, max_auth_file_bytes);
    } catch (const Error& error) {
      if (source.must_exist) {
        throw Error(ErrorCode::invalid_input, error.message())
            .with_hint("run 'aipack login', or name another auth file");
      }
      if (error.code() == ErrorCode::denied) { // "sudo docker login" leaves such files
        notice(error);
      } else if (error.code() != ErrorCode::not_found) {
        throw;
      }
      return std::nullopt;
    }
    const auto file = AuthFile::parse(text, source.path.string(), source.format);
    wipe(text);
    const std::string name = shown(source.path, options_.home);
    if (const auto helper = file.own_helper(host)) {
      return ask(*helper, name); // the file says that this registry's credentials are nowhere else
    }
    if (const auto helper = file.default_helper(host)) {
      try {
        if (auto credential = ask(*helper, name)) {
          return credential;
        }
      } catch (const Error& error) {
        notice(error);
      }
    }
    auto credential = file.find(host, repository);
    if (credential) {
      credential->origin = name;
    }
    return credential;
  };

  for (const Source& source : files_before_environment(options_)) {
    if (auto credential = look_into(source)) {
      return credential;
    }
  }
  if (auto credential = from_environment(options_.environment, host)) {
    return credential;
  }
  for (const Source& source : files_after_environment(options_)) {
    if (auto credential = look_into(source)) {
      return credential;
    }
  }
  return std::nullopt;
}

std::string CredentialFiles::store(std::string_view registry_host, const Credential& credential,
                                   const Operation& op) {
  const std::string host = canonical_host(registry_host);
  const Destination destination = destination_of(options_);
  const std::string name = shown(destination.path, options_.home);
  const std::string key(host == docker_hub ? destination.hub_key : std::string_view(host));
  std::string where = name;
  edit(destination.path, op, [&](AuthFile& file) {
    auto helper = file.own_helper(host);
    helper = helper ? helper : file.default_helper(host);
    if (helper) {
      const CredentialHelper program(helper->name, name, options_.environment,
                                     options_.helper_timeout);
      program.store(helper->server, credential, op);
      where = program.origin();
    }
    file.set(host, key, helper ? nullptr : &credential);
  });
  return where;
}

std::optional<std::string> CredentialFiles::erase(std::string_view registry_host,
                                                  const Operation& op) {
  const std::string host = canonical_host(registry_host);
  const Destination destination = destination_of(options_);
  const std::string name = shown(destination.path, options_.home);
  std::error_code ignored;
  if (!fs::exists(destination.path, ignored)) {
    return std::nullopt;
  }
  std::optional<std::string> where;
  edit(destination.path, op, [&](AuthFile& file) {
    auto helper = file.own_helper(host);
    helper = helper ? helper : file.default_helper(host);
    if (helper) {
      const CredentialHelper program(helper->name, name, options_.environment,
                                     options_.helper_timeout);
      if (program.erase(helper->server, op)) {
        where = program.origin();
      }
    }
    if (file.erase(host)) {
      where = where ? where : name;
    }
  });
  return where;
}

} // namespace aipack::registry
