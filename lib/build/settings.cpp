#include "aipack/build/settings.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/suggest.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

namespace aipack::build {

namespace {

constexpr std::string_view settings_file_name = "aipack.yaml";
constexpr std::size_t max_settings_depth = 16;

[[noreturn]] void fail(std::string_view name, const YAML::Mark& mark, std::string_view cause) {
  throw Error(ErrorCode::invalid_input, fmt::format("cannot read '{}': line {}, column {}: {}",
                                                    name, mark.line + 1, mark.column + 1, cause));
}

const std::vector<std::string> known_keys{"model_name",
                                          "platform",
                                          "base",
                                          "runtime",
                                          "suite",
                                          "mirror",
                                          "user",
                                          "compress",
                                          "compress_models",
                                          "tag",
                                          "output",
                                          "packages",
                                          "files",
                                          "entrypoint",
                                          "env",
                                          "labels",
                                          "annotations",
                                          "allow",
                                          "waive_scripts",
                                          "ignore_valid_until",
                                          "skip_incomplete_suites",
                                          "source_date_epoch"};

void check_depth(const YAML::Node& node, std::string_view name, std::size_t depth) {
  if (depth > max_settings_depth) {
    fail(name, node.Mark(), "nested too deeply");
  }
  if (node.IsSequence()) {
    for (const auto& item : node) {
      check_depth(item, name, depth + 1);
    }
  } else if (node.IsMap()) {
    for (const auto& item : node) {
      check_depth(item.second, name, depth + 1);
    }
  }
}

std::string scalar(const YAML::Node& node, std::string_view name, std::string_view key) {
  if (!node.IsScalar()) {
    fail(name, node.Mark(), fmt::format("'{}' must be a single value", key));
  }
  return node.Scalar();
}

bool truth(const YAML::Node& node, std::string_view name, std::string_view key) {
  const auto word = scalar(node, name, key);
  if (word != "true" && word != "false") {
    fail(name, node.Mark(), fmt::format("'{}' must be true or false", key));
  }
  return word == "true";
}

/// A sequence of scalars, or one scalar where the value may be a single word.
std::vector<std::string> scalars(const YAML::Node& node, std::string_view name,
                                 std::string_view key) {
  if (node.IsScalar()) {
    return {node.Scalar()};
  }
  if (!node.IsSequence()) {
    fail(name, node.Mark(), fmt::format("'{}' must be a list", key));
  }
  std::vector<std::string> values;
  for (const auto& item : node) {
    values.push_back(scalar(item, name, key));
  }
  return values;
}

std::map<std::string, std::string> pairs(const YAML::Node& node, std::string_view name,
                                         std::string_view key) {
  if (!node.IsMap()) {
    fail(name, node.Mark(), fmt::format("'{}' must be a mapping of names to values", key));
  }
  std::map<std::string, std::string> values;
  for (const auto& item : node) {
    const auto pair_key = scalar(item.first, name, key);
    if (!values.emplace(pair_key, scalar(item.second, name, key)).second) {
      fail(name, item.first.Mark(), fmt::format("{} stands twice in '{}'", quoted(pair_key), key));
    }
  }
  return values;
}

/// env is a mapping or a list of "NAME=value"; a mapping keeps the file's order.
std::vector<std::string> environment(const YAML::Node& node, std::string_view name) {
  if (!node.IsMap()) {
    return scalars(node, name, "env");
  }
  std::vector<std::string> values;
  for (const auto& item : node) {
    values.push_back(scalar(item.first, name, "env") + "=" + scalar(item.second, name, "env"));
  }
  return values;
}

std::string joined(const std::vector<std::string>& values, std::string_view separator) {
  return fmt::format("{}", fmt::join(values, separator));
}

void assign(Settings& settings, const std::string& key, const YAML::Node& value,
            std::string_view name, const std::filesystem::path& folder) {
  const auto text = [&] { return scalar(value, name, key); };
  if (key == "model_name") {
    settings.model_name = text();
  } else if (key == "platform") {
    settings.platform = joined(scalars(value, name, key), ",");
  } else if (key == "base") {
    settings.base = text();
  } else if (key == "runtime") {
    settings.runtime = text();
  } else if (key == "suite") {
    settings.suite = text();
  } else if (key == "mirror") {
    settings.mirror = text();
    settings.mirror_origin = std::string(name);
  } else if (key == "user") {
    settings.user = text();
  } else if (key == "compress") {
    settings.compress = text();
  } else if (key == "compress_models") {
    settings.compress_models = text();
  } else if (key == "tag") {
    settings.tag = text();
  } else if (key == "output") {
    settings.output = text();
  } else if (key == "packages") {
    settings.packages = scalars(value, name, key);
  } else if (key == "files") {
    settings.files.emplace();
    for (const auto& mapping : scalars(value, name, key)) {
      const bool relative = !mapping.empty() && mapping.front() != '/';
      settings.files->push_back(relative ? (folder / mapping).string() : mapping);
    }
  } else if (key == "entrypoint") {
    settings.entrypoint = scalars(value, name, key);
  } else if (key == "env") {
    settings.env = environment(value, name);
  } else if (key == "labels") {
    settings.labels = pairs(value, name, key);
  } else if (key == "annotations") {
    settings.annotations = pairs(value, name, key);
  } else if (key == "allow") {
    settings.allow = scalars(value, name, key);
  } else if (key == "waive_scripts") {
    settings.waive_scripts = scalars(value, name, key);
  } else if (key == "ignore_valid_until") {
    settings.ignore_valid_until = truth(value, name, key);
  } else if (key == "skip_incomplete_suites") {
    settings.skip_incomplete_suites = truth(value, name, key);
  } else if (key == "source_date_epoch") {
    settings.source_date_epoch = text();
  }
}

template <class T>
void prefer(std::optional<T>& strong, const std::optional<T>& weak) {
  if (!strong) {
    strong = weak;
  }
}

/// "UID", "UID:GID"; numeric, because Kubernetes cannot verify runAsNonRoot for a name.
std::string parse_user(const std::string& text) {
  const auto parts = split(text, ':');
  const auto valid = [](std::string_view part) {
    const auto number = parse_decimal(part);
    return number && *number < std::numeric_limits<std::uint32_t>::max();
  };
  if (parts.size() > 2 || !std::ranges::all_of(parts, valid)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use user {}: it must be numeric, UID or UID:GID", quoted(text)))
        .with_hint("65532:65532 is the unprivileged default");
  }
  return parts.size() == 1 ? fmt::format("{0}:{0}", text) : text;
}

} // namespace

FileMapping FileMapping::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use file mapping {}: it must read SRC:DST", quoted(text)));
  }
  return {std::filesystem::path(text.substr(0, colon)),
          fs::RootPath::parse(text.substr(colon + 1))};
}

Settings parse_settings(std::string_view yaml, std::string_view name,
                        const std::filesystem::path& folder) {
  Settings settings;
  if (yaml.size() > max_settings_bytes) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot read '{}': larger than {} bytes", name, max_settings_bytes));
  }
  // An alias can make a small file expand without end: no setting needs one.
  for (const auto line : split(yaml, '\n')) {
    const auto value = trim(line.substr(
        std::min(line.size(), line.find(':') == std::string_view::npos ? 0 : line.find(':') + 1)));
    if (value.starts_with('*') || value.starts_with('&')) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read '{}': anchors and aliases are not allowed", name));
    }
  }
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (root.IsNull()) {
      return settings;
    }
    if (!root.IsMap()) {
      fail(name, root.Mark(), "the file must be a mapping");
    }
    check_depth(root, name, 0);
    std::vector<std::string> seen;
    for (const auto& item : root) {
      const auto key = scalar(item.first, name, "key");
      if (std::ranges::find(known_keys, key) == known_keys.end()) {
        const auto meant = nearest_word(key, known_keys);
        fail(name, item.first.Mark(),
             fmt::format("unknown key {}{}", quoted(key),
                         meant.empty() ? "" : fmt::format("; did you mean '{}'?", meant)));
      }
      if (std::ranges::find(seen, key) != seen.end()) {
        fail(name, item.first.Mark(), fmt::format("'{}' stands twice", key));
      }
      seen.push_back(key);
      assign(settings, key, item.second, name, folder);
    }
  } catch (const YAML::Exception& error) {
    fail(name, error.mark, error.msg);
  }
  return settings;
}

Settings read_settings(const std::filesystem::path& file) {
  return parse_settings(io::read_text_file(file, max_settings_bytes), file.string(),
                        file.parent_path());
}

Settings environment_settings(const std::function<const char*(const char*)>& lookup) {
  Settings settings;
  const auto take = [&](const char* variable, std::optional<std::string>& into) {
    if (const char* value = lookup(variable); value != nullptr && *value != '\0') {
      into = value;
    }
  };
  take("AIPACK_MIRROR", settings.mirror);
  if (settings.mirror) {
    settings.mirror_origin = "AIPACK_MIRROR";
  }
  take("AIPACK_PLATFORM", settings.platform);
  take("AIPACK_BASE", settings.base);
  take("AIPACK_RUNTIME", settings.runtime);
  take("AIPACK_SUITE", settings.suite);
  take("AIPACK_COMPRESS", settings.compress);
  take("SOURCE_DATE_EPOCH", settings.source_date_epoch);
  std::optional<std::string> skip;
  take("AIPACK_SKIP_INCOMPLETE_SUITES", skip);
  if (skip) {
    settings.skip_incomplete_suites = *skip == "1" || *skip == "true";
  }
  return settings;
}

Settings merge(Settings strong, const Settings& weak) {
  if (!strong.mirror) {
    strong.mirror_origin = weak.mirror_origin;
  }
  prefer(strong.model_name, weak.model_name);
  prefer(strong.platform, weak.platform);
  prefer(strong.base, weak.base);
  prefer(strong.runtime, weak.runtime);
  prefer(strong.suite, weak.suite);
  prefer(strong.mirror, weak.mirror);
  prefer(strong.user, weak.user);
  prefer(strong.compress, weak.compress);
  prefer(strong.compress_models, weak.compress_models);
  prefer(strong.tag, weak.tag);
  prefer(strong.output, weak.output);
  prefer(strong.packages, weak.packages);
  prefer(strong.files, weak.files);
  prefer(strong.entrypoint, weak.entrypoint);
  prefer(strong.env, weak.env);
  prefer(strong.allow, weak.allow);
  prefer(strong.waive_scripts, weak.waive_scripts);
  prefer(strong.ignore_valid_until, weak.ignore_valid_until);
  prefer(strong.skip_incomplete_suites, weak.skip_incomplete_suites);
  prefer(strong.source_date_epoch, weak.source_date_epoch);
  strong.labels.insert(weak.labels.begin(), weak.labels.end());
  strong.annotations.insert(weak.annotations.begin(), weak.annotations.end());
  return strong;
}

std::optional<std::filesystem::path> find_settings_file(const std::filesystem::path& model) {
  std::error_code ignored;
  const auto folder = std::filesystem::is_directory(model, ignored) ? model : model.parent_path();
  auto candidate = folder / settings_file_name;
  if (std::filesystem::is_regular_file(candidate, ignored)) {
    return candidate;
  }
  return std::nullopt;
}

BuildRequest make_request(const std::vector<std::filesystem::path>& models,
                          const Settings& settings) {
  BuildRequest request;
  if (models.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot build: no model was given");
  }
  if (models.size() > max_models) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot build: more than {} models", max_models));
  }
  request.models = models;
  request.model_name = settings.model_name.value_or("");
  request.platforms = settings.platform ? oci::Platform::parse_list(*settings.platform)
                                        : std::vector{oci::Platform::host()};
  request.every_platform = settings.platform == "all";
  request.base = settings.base.value_or("");
  request.runtime = settings.runtime.value_or("");
  request.suite = settings.suite.value_or("");
  request.mirror = settings.mirror.value_or("");
  request.mirror_origin = settings.mirror_origin;
  request.packages = settings.packages.value_or(std::vector<std::string>{});
  for (const auto& mapping : settings.files.value_or(std::vector<std::string>{})) {
    request.files.push_back(FileMapping::parse(mapping));
  }
  request.entrypoint = settings.entrypoint.value_or(std::vector<std::string>{});
  request.env = settings.env.value_or(std::vector<std::string>{});
  for (const auto& variable : request.env) {
    if (variable.find('=') == std::string::npos || variable.front() == '=') {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot use environment variable {}: it must read NAME=value",
                              quoted(variable)));
    }
  }
  request.labels = settings.labels;
  request.annotations = settings.annotations;
  if (settings.user) {
    request.user = parse_user(*settings.user);
  }
  if (settings.compress) {
    request.compression = codec::Compression::parse(*settings.compress);
  }
  if (settings.compress_models) {
    request.model_compression = codec::Compression::parse(*settings.compress_models);
  }
  if (settings.source_date_epoch) {
    request.source_date_epoch = parse_source_date_epoch(*settings.source_date_epoch);
  }
  request.ignore_valid_until = settings.ignore_valid_until.value_or(false);
  request.skip_incomplete_suites = settings.skip_incomplete_suites.value_or(false);
  request.allowed_findings = settings.allow.value_or(std::vector<std::string>{});
  request.waived_scripts = settings.waive_scripts.value_or(std::vector<std::string>{});
  return request;
}

std::int64_t parse_source_date_epoch(std::string_view text) {
  const auto value = parse_decimal(text);
  // 9999-12-31: the last date that RFC 3339 can write.
  constexpr std::uint64_t last = 253402300799;
  if (!value || *value > last) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use SOURCE_DATE_EPOCH {}: not a whole number of seconds",
                            quoted(text)));
  }
  return static_cast<std::int64_t>(*value);
}

} // namespace aipack::build
