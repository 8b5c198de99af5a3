#include "aipack/runtime/runtime.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/suggest.hpp"
#include "aipack/core/text.hpp"

#include "strict_json.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

namespace aipack::runtime {
namespace {

using Json = nlohmann::json;

/// One key of an entry. Reading the whole schema is reading this table.
struct Key {
  std::string name;
  bool is_required;
  std::function<void(const Json&, Runtime&)> read;
};

/// A mistyped value, told apart from other invalid input so that the key can be named.
struct WrongType {
  std::string_view wanted;
};

std::string text(const Json& value) {
  if (!value.is_string()) {
    throw WrongType{"a string"};
  }
  return value.get<std::string>();
}

std::vector<std::string> texts(const Json& value) {
  if (!value.is_array()) {
    throw WrongType{"a list of strings"};
  }
  std::vector<std::string> list;
  for (const auto& item : value) {
    if (!item.is_string()) {
      throw WrongType{"a list of strings"};
    }
    list.push_back(item.get<std::string>());
  }
  return list;
}

std::int64_t number(const Json& value) {
  if (!value.is_number_integer() || value.get<std::int64_t>() < 0) {
    throw WrongType{"a number that is not negative"};
  }
  return value.get<std::int64_t>();
}

template <class Value, class Read>
std::map<std::string, Value> dictionary(const Json& value, Read read) {
  if (!value.is_object()) {
    throw WrongType{"an object"};
  }
  std::map<std::string, Value> out;
  for (const auto& [key, item] : value.items()) {
    out.emplace(key, read(item));
  }
  return out;
}

const std::vector<Key>& schema() {
  static const std::vector<Key> keys{
      {"name", true, [](const Json& v, Runtime& r) { r.name = text(v); }},
      {"version", true, [](const Json& v, Runtime& r) { r.version = text(v); }},
      {"title", true, [](const Json& v, Runtime& r) { r.title = text(v); }},
      {"formats", true, [](const Json& v, Runtime& r) { r.formats = texts(v); }},
      {"platforms", true,
       [](const Json& v, Runtime& r) {
         for (const auto& name : texts(v)) {
           r.platforms.push_back(oci::Platform::parse(name));
         }
       }},
      {"suite", true, [](const Json& v, Runtime& r) { r.suite = text(v); }},
      {"packages", true, [](const Json& v, Runtime& r) { r.packages = texts(v); }},
      {"assume_installed", false, [](const Json& v, Runtime& r) { r.assume_installed = texts(v); }},
      {"dlopened", false, [](const Json& v, Runtime& r) { r.dlopened = texts(v); }},
      {"data", false, [](const Json& v, Runtime& r) { r.data = texts(v); }},
      {"server", false, [](const Json& v, Runtime& r) { r.server = text(v); }},
      {"server_path", true, [](const Json& v, Runtime& r) { r.server_path = text(v); }},
      {"entrypoint", true, [](const Json& v, Runtime& r) { r.entrypoint = texts(v); }},
      {"cmd", false, [](const Json& v, Runtime& r) { r.cmd = texts(v); }},
      {"env", false, [](const Json& v, Runtime& r) { r.env = texts(v); }},
      {"exposed_ports", false, [](const Json& v, Runtime& r) { r.exposed_ports = texts(v); }},
      {"models_directory", true, [](const Json& v, Runtime& r) { r.models_directory = text(v); }},
      {"max_ir_version", false, [](const Json& v, Runtime& r) { r.max_ir_version = number(v); }},
      {"max_opsets", false,
       [](const Json& v, Runtime& r) { r.max_opsets = dictionary<std::int64_t>(v, number); }},
      {"unsupported_traits", false,
       [](const Json& v, Runtime& r) { r.unsupported_traits = dictionary<std::string>(v, text); }},
      {"operator_table", false, [](const Json& v, Runtime& r) { r.operator_table = text(v); }},
      {"comment", false, [](const Json& v, Runtime&) { static_cast<void>(text(v)); }},
  };
  return keys;
}

bool is_environment(std::string_view setting) {
  const auto equals = setting.find('=');
  return equals != std::string_view::npos && equals > 0 &&
         setting.find('\0') == std::string_view::npos;
}

bool is_port(std::string_view port) {
  const auto slash = port.find('/');
  const auto value = parse_decimal(port.substr(0, slash));
  const auto protocol =
      slash == std::string_view::npos ? std::string_view("tcp") : port.substr(slash + 1);
  return value && *value >= 1 && *value <= 65535 && (protocol == "tcp" || protocol == "udp");
}

bool is_absolute(std::string_view path) {
  return path.size() > 1 && path.front() == '/';
}

/// No way out of the folder that the path is relative to.
bool stays_inside(std::string_view path) {
  const auto parts = split(path, '/');
  return !path.empty() && path.front() != '/' &&
         std::ranges::none_of(parts,
                              [](std::string_view part) { return part == ".." || part.empty(); });
}

/// What types cannot say; the first broken rule, or nothing.
std::optional<std::string> broken_rule(const Runtime& runtime) {
  const auto all = [](const std::vector<std::string>& list, auto&& rule) {
    return std::ranges::all_of(list, rule);
  };
  if (runtime.name.empty()) {
    return "'name' is empty";
  }
  if (runtime.packages.empty() || runtime.formats.empty() || runtime.platforms.empty() ||
      runtime.entrypoint.empty()) {
    return "'packages', 'formats', 'platforms' and 'entrypoint' need at least one element each";
  }
  if (!is_absolute(runtime.server_path) || !is_absolute(runtime.models_directory) ||
      !is_absolute(runtime.entrypoint.front())) {
    return "'server_path', 'models_directory' and the entrypoint's program must be absolute paths";
  }
  if (!all(runtime.dlopened, is_absolute) || !all(runtime.data, is_absolute)) {
    return "'dlopened' and 'data' must hold absolute paths";
  }
  if (!all(runtime.env, is_environment)) {
    return "'env' must hold NAME=value";
  }
  if (!all(runtime.exposed_ports, is_port)) {
    return "'exposed_ports' must hold ports such as '8080/tcp'";
  }
  if ((!runtime.server.empty() && !stays_inside(runtime.server)) ||
      (!runtime.operator_table.empty() && !stays_inside(runtime.operator_table))) {
    return "'server' and 'operator_table' must be relative paths without '..'";
  }
  return std::nullopt;
}

std::string replaced(std::string text, std::string_view placeholder, std::string_view value) {
  for (std::size_t at = 0; (at = text.find(placeholder, at)) != std::string::npos;
       at += value.size()) {
    text.replace(at, placeholder.size(), value);
  }
  return text;
}

} // namespace

Runtime parse_runtime(std::string_view json, std::string_view name) {
  const auto document = parse_strict(json, name);
  Runtime runtime;
  std::vector<std::string> known;
  for (const auto& key : schema()) {
    known.push_back(key.name);
  }
  const auto invalid = [&](std::string cause) {
    return Error(ErrorCode::invalid_input, fmt::format("cannot read {}: {}", quoted(name), cause));
  };
  for (const auto& [key, value] : document.items()) {
    const auto found = std::ranges::find(schema(), key, &Key::name);
    if (found == schema().end()) {
      const auto near = nearest_word(key, known);
      throw invalid(fmt::format("unknown key {}", quoted(key)))
          .with_hint(near.empty() ? fmt::format("the keys are: {}", fmt::join(known, ", "))
                                  : fmt::format("did you mean '{}'?", near));
    }
    try {
      found->read(value, runtime);
    } catch (const WrongType& wrong) {
      throw invalid(fmt::format("key {} must be {}", quoted(key), wrong.wanted));
    } catch (Error& error) {
      error.add_context(fmt::format("while reading key {} of {}", quoted(key), quoted(name)));
      throw;
    }
  }
  for (const auto& key : schema()) {
    if (key.is_required && !document.contains(key.name)) {
      throw invalid(fmt::format("key '{}' is missing", key.name));
    }
  }
  if (const auto cause = broken_rule(runtime)) {
    throw invalid(*cause);
  }
  return runtime;
}

Runtime Runtime::for_platform(const oci::Platform& platform) const {
  if (std::ranges::find(platforms, platform) == platforms.end()) {
    std::string list;
    for (const auto& known : platforms) {
      list += (list.empty() ? "" : ", ") + known.to_string();
    }
    throw Error(ErrorCode::unsupported, fmt::format("cannot use runtime {} on {}: it runs on {}",
                                                    quoted(name), platform.to_string(), list));
  }
  const auto& names = oci::architecture_names(platform);
  const auto fill = [&](std::string& text) {
    text = replaced(replaced(std::move(text), "{triplet}", names.triplet), "{arch}", names.oci);
  };
  Runtime filled = *this;
  for (auto* one : {&filled.server, &filled.server_path, &filled.models_directory}) {
    fill(*one);
  }
  for (auto* list : {&filled.packages, &filled.dlopened, &filled.data, &filled.entrypoint,
                     &filled.cmd, &filled.env}) {
    std::ranges::for_each(*list, fill);
  }
  return filled;
}

} // namespace aipack::runtime
