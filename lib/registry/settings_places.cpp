#include "aipack/core/error.hpp"
#include "aipack/io/file.hpp"

#include "environment.hpp"
#include "settings_tables.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

namespace fs = std::filesystem;

/// Names in a directory, sorted; none when it is not there or closed to this user.
std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code ignored;
  fs::directory_iterator at(directory, fs::directory_options::skip_permission_denied, ignored);
  while (!ignored && at != fs::directory_iterator()) {
    names.push_back(at->path().filename().string());
    at.increment(ignored);
  }
  std::ranges::sort(names);
  return names;
}

/// The drop-ins of a directory: *.conf in the order of their names.
std::vector<fs::path> drop_ins(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const std::string& name : names_in(directory)) {
    std::error_code ignored;
    if (name.ends_with(".conf") && fs::is_regular_file(directory / name, ignored)) {
      files.push_back(directory / name);
    }
  }
  if (files.size() > max_settings_files) {
    throw FormatError(directory.string(), std::nullopt,
                      fmt::format("more than {} files", max_settings_files),
                      ErrorCode::invalid_input);
  }
  return files;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// Files of containers-registries.conf(5), the weakest first.
std::vector<fs::path> containers_files(const SettingsPlaces& places, const fs::path& user) {
  const fs::path system = places.etc / "containers";
  const fs::path named = value_of(places.environment, "CONTAINERS_REGISTRIES_CONF");
  const bool user_decides = named.empty() && !user.empty() && is_there(user / "registries.conf");
  std::vector<fs::path> files;
  if (!named.empty()) {
    files.push_back(named); // reading it says so when it is not there
  } else if (const fs::path main = (user_decides ? user : system) / "registries.conf";
             is_there(main)) {
    files.push_back(main);
  }
  const auto add = [&](const fs::path& directory) {
    const auto more = drop_ins(directory);
    files.insert(files.end(), more.begin(), more.end());
  };
  if (!user_decides) {
    add(system / "registries.conf.d");
  }
  if (!user.empty()) {
    add(user / "registries.conf.d");
  }
  return files;
}

} // namespace

RegistrySettings RegistrySettings::read(const SettingsPlaces& places) {
  const fs::path config = config_home(places.environment, places.home);
  const fs::path user = config.empty() ? fs::path() : config / "containers";
  auto data = std::make_shared<Data>();
  const auto add = [&](const fs::path& file, SettingsFormat format) {
    data->add(parse_tables(io::read_text_file(file, max_settings_bytes), file.string(), format),
              format);
  };
  for (const fs::path& file : containers_files(places, user)) {
    add(file, SettingsFormat::containers);
  }
  if (const fs::path own = config / "aipack" / "registries.toml";
      !config.empty() && is_there(own)) {
    add(own, SettingsFormat::aipack);
  }
  // containers-certs.d(5), then docker's directory of the same shape; the first that has the host.
  for (const fs::path& root :
       {user.empty() ? user : user / "certs.d", places.etc / "containers" / "certs.d",
        places.etc / "docker" / "certs.d"}) {
    if (root.empty()) {
      continue;
    }
    for (const std::string& host : names_in(root)) {
      if (const auto place = Place::parse(host); place && place->path.empty()) {
        data->certificates.try_emplace(place->host,
                                       CertificateDirectory{root / host, names_in(root / host)});
      }
    }
  }
  return RegistrySettings(std::move(data));
}

} // namespace aipack::registry
