#include "runtime_json.hpp"

#include "aipack/core/error.hpp"
#include "aipack/fs/root_path.hpp"

#include <fmt/format.h>

namespace aipack::build {

namespace {

using Json = nlohmann::ordered_json;

/// Calls `visit(key, member)` for every field that the lock pins: one list for both directions.
template <class Runtime, class Visit>
void each_text(Runtime& runtime, Visit&& visit) {
  visit("name", runtime.name);
  visit("version", runtime.version);
  visit("title", runtime.title);
  visit("suite", runtime.suite);
  visit("server", runtime.server);
  visit("server_path", runtime.server_path);
  visit("models_directory", runtime.models_directory);
}

template <class Runtime, class Visit>
void each_list(Runtime& runtime, Visit&& visit) {
  visit("packages", runtime.packages);
  visit("assume_installed", runtime.assume_installed);
  visit("dlopened", runtime.dlopened);
  visit("data", runtime.data);
  visit("entrypoint", runtime.entrypoint);
  visit("cmd", runtime.cmd);
  visit("env", runtime.env);
  visit("exposed_ports", runtime.exposed_ports);
}

} // namespace

Json runtime_to_json(const runtime::Runtime& runtime) {
  Json json = Json::object();
  each_text(runtime, [&](const char* key, const std::string& value) { json[key] = value; });
  each_list(runtime,
            [&](const char* key, const std::vector<std::string>& value) { json[key] = value; });
  return json;
}

runtime::Runtime runtime_from_json(const JsonReader& json) {
  runtime::Runtime runtime;
  each_text(runtime, [&](const char* key, std::string& value) { value = json.text(key); });
  each_list(runtime,
            [&](const char* key, std::vector<std::string>& value) { value = json.texts(key); });
  const auto is_absolute = [](const std::string& path) {
    return path.starts_with('/') && fs::RootPath::try_parse(path).has_value();
  };
  const bool sound = !runtime.entrypoint.empty() && is_absolute(runtime.models_directory) &&
                     (runtime.server_path.empty() || is_absolute(runtime.server_path)) &&
                     (runtime.server.empty() || (!runtime.server.starts_with('/') &&
                                                 fs::RootPath::try_parse(runtime.server)));
  if (!sound) {
    json.fail("bad runtime entry: a path or the entrypoint is missing or not normal");
  }
  return runtime;
}

} // namespace aipack::build
