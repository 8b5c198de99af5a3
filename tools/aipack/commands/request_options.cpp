#include "commands/request_options.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "commands/trust_options.hpp"
#include "session.hpp"

#include <fmt/format.h>

namespace aipack::cli {

void RequestOptions::add_to(CLI::App& command) {
  command.add_option("MODEL", models, "Model file or folder")->required()->type_name("");
  command
      .add_option("-f,--settings", settings_file,
                  "Settings file (default: aipack.yaml beside the model)")
      ->type_name("FILE");
  command
      .add_option(
          "--platform", platform,
          "linux/amd64,linux/arm64,linux/riscv64, or 'all', of a base image those that it has "
          "(default: this machine's)")
      ->type_name("LIST");
  command
      .add_option("--base", base,
                  "Extend this image instead of composing one: HOST/REPO[:TAG], oci:DIR, …")
      ->type_name("REF");
  command
      .add_option("--verify-key", base_keys,
                  "The base image must be signed by this public key (repeatable: by one of them)")
      ->type_name("FILE");
  command
      .add_option("--runtime", runtime,
                  "Runtime of the catalog (default: the first that can serve the model)")
      ->type_name("NAME");
  command.add_option("--suite", suite, "Debian suite (default: the runtime's)")->type_name("SUITE");
  command
      .add_option("--mirror", mirror,
                  "Debian mirror, URL or URL,SECURITY_URL (default: apt's configuration)")
      ->type_name("URL");
  command
      .add_option("--model-name", model_name,
                  "Serve the model under this name (default: its file's name)")
      ->type_name("NAME");
  command.add_option("--package", packages, "Further Debian package, kept whole; repeatable")
      ->type_name("NAME");
  command.add_option("--file", files, "Add a file or folder; repeatable")->type_name("SRC:DST");
  command
      .add_option("--entrypoint", entrypoint,
                  "Program to start, with arguments separated by spaces")
      ->type_name("PROGRAM");
  command.add_option("--env", env, "Environment variable of the image; repeatable")
      ->type_name("NAME=VALUE");
  command.add_option("--label", labels, "Label of the image config; repeatable")
      ->type_name("KEY=VALUE");
  command.add_option("--annotation", annotations, "Annotation of manifests and index; repeatable")
      ->type_name("KEY=VALUE");
  command.add_option("--user", user, "Numeric user, UID or UID:GID (default: 65532:65532)")
      ->type_name("UID");
  command
      .add_option(
          "--compress", compress,
          "zstd, gzip or none, with an optional :LEVEL (default: zstd; gzip for Docker before 23)")
      ->type_name("CODEC");
  command
      .add_option("--compress-models", compress_models,
                  "The same for the models' layers (default: none: they are not copied)")
      ->type_name("CODEC");
  command
      .add_option("--allow", allow,
                  "Finding that does not stop the build (a rule id of 'analyze'); repeatable")
      ->type_name("RULE");
  command
      .add_option("--waive-scripts", waive_scripts,
                  "Package whose unknown maintainer scripts are ignored; repeatable")
      ->type_name("NAME");
  // One value at a time: a list would swallow the model that follows.
  for (const auto* name :
       {"--package", "--file", "--env", "--label", "--annotation", "--allow", "--waive-scripts"}) {
    command.get_option(name)->allow_extra_args(false);
  }
  command.add_flag("--ignore-valid-until", ignore_valid_until,
                   "Accept a Release file past its Valid-Until");
  command.add_flag(
      "--skip-incomplete-suites", skip_incomplete_suites,
      "Go on without an updates or security index that the mirror does not serve as signed");
}

namespace {

std::optional<std::string> set(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

std::optional<std::vector<std::string>> set(const std::vector<std::string>& list) {
  return list.empty() ? std::nullopt : std::optional(list);
}

std::map<std::string, std::string> pairs(const std::vector<std::string>& list,
                                         std::string_view option) {
  std::map<std::string, std::string> result;
  for (const auto& item : list) {
    const auto equals = item.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot use {} {}: it must read KEY=VALUE", option, quoted(item)));
    }
    result[item.substr(0, equals)] = item.substr(equals + 1);
  }
  return result;
}

std::optional<std::filesystem::path> user_settings_file() {
  std::filesystem::path base;
  if (const char* value = environment("XDG_CONFIG_HOME")) {
    base = value;
  } else if (const char* home = environment("HOME")) {
    base = std::filesystem::path(home) / ".config";
  }
  const auto file = base / "aipack" / "aipack.yaml";
  std::error_code ignored;
  return !base.empty() && std::filesystem::is_regular_file(file, ignored) ? std::optional(file)
                                                                          : std::nullopt;
}

} // namespace

build::Settings RequestOptions::settings() const {
  build::Settings flags;
  flags.model_name = set(model_name);
  flags.platform = set(platform);
  flags.base = set(base);
  flags.runtime = set(runtime);
  flags.suite = set(suite);
  flags.mirror = set(mirror);
  flags.mirror_origin = "--mirror";
  flags.user = set(user);
  flags.compress = set(compress);
  flags.compress_models = set(compress_models);
  flags.packages = set(packages);
  flags.files = set(files);
  flags.env = set(env);
  flags.allow = set(allow);
  flags.waive_scripts = set(waive_scripts);
  flags.labels = pairs(labels, "--label");
  flags.annotations = pairs(annotations, "--annotation");
  if (!entrypoint.empty()) {
    flags.entrypoint.emplace();
    for (const auto word : split(entrypoint, ' ')) {
      if (!word.empty()) {
        flags.entrypoint->emplace_back(word);
      }
    }
  }
  if (ignore_valid_until) {
    flags.ignore_valid_until = true;
  }
  if (skip_incomplete_suites) {
    flags.skip_incomplete_suites = true;
  }

  auto merged =
      build::merge(std::move(flags),
                   build::environment_settings([](const char* name) { return environment(name); }));
  const auto project = settings_file.empty() ? build::find_settings_file(models.front())
                                             : std::optional(std::filesystem::path(settings_file));
  if (project) {
    merged = build::merge(std::move(merged), build::read_settings(*project));
  }
  if (const auto user_file = user_settings_file()) {
    merged = build::merge(std::move(merged), build::read_settings(*user_file));
  }
  return merged;
}

build::BuildRequest RequestOptions::request(const build::Settings& settings) const {
  auto request = build::make_request({models.begin(), models.end()}, settings);
  request.base_keys = read_public_keys(base_keys);
  if (!request.base_keys.empty() && request.base.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot use --verify-key: there is no base image")
        .with_hint("name one with --base; what aipack composes itself is verified always");
  }
  return request;
}

} // namespace aipack::cli
