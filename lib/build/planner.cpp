#include "planner.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/overloaded.hpp"
#include "aipack/core/text.hpp"

#include "base.hpp"
#include "plain_model.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace aipack::build {

namespace {

model::Model inspect_model(const std::filesystem::path& path, const BuildRequest& request,
                           const Operation& op) {
  auto model = model::inspect(path, op);
  auto found = model.findings; // those that are allowed stay on record
  std::erase_if(model.findings, [&](const model::Finding& finding) {
    return std::ranges::find(request.allowed_findings, finding.rule) !=
           request.allowed_findings.end();
  });
  model::require_acceptable(model);
  model.findings = std::move(found);
  return model;
}

void check_name(const std::string& name) {
  if (!is_model_name(name)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot serve a model under the name {}", quoted(name)))
        .with_hint("choose a name without '/' that does not start with '.', with --model-name");
  }
}

std::vector<model::Model> inspect_models(const BuildRequest& request, const Operation& op) {
  std::vector<model::Model> models;
  std::set<std::string> names;
  for (const auto& path : request.models) {
    models.push_back(inspect_model(path, request, op));
    if (request.models.size() == 1 && !request.model_name.empty()) {
      models.back().name = request.model_name;
    }
    check_name(models.back().name);
    if (!names.insert(models.back().name).second) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot build: two models are named {}", quoted(models.back().name)))
          .with_hint("rename one of the files: a model is served under its file's name");
    }
  }
  if (request.models.size() > 1 && !request.model_name.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot use a model name: there is more than one model");
  }
  return models;
}

std::vector<PlannedModel> planned(Context& context, const std::vector<model::Model>& models,
                                  const Operation& op) {
  std::vector<PlannedModel> result;
  for (const auto& model : models) {
    PlannedModel entry{.name = model.name,
                       .files = model.files,
                       .digests = {},
                       .license = model.license,
                       .description = model.description,
                       .producer = std::string(
                           trim(fmt::format("{} {}", model.producer_name, model.producer_version))),
                       .findings = model.findings};
    for (const auto& file : model.files) {
      entry.digests.push_back(
          file.size_bytes <= max_digested_bytes
              ? std::optional(blob::file_digest(file.source, context.digests, op))
              : std::nullopt);
    }
    result.push_back(std::move(entry));
  }
  return result;
}

[[noreturn]] void refuse(const model::Model& model, const oci::Platform& platform,
                         const std::vector<runtime::Rejection>& rejections) {
  std::string causes;
  for (const auto& rejection : rejections) {
    for (const auto& reason : rejection.reasons) {
      causes += fmt::format("{}{}: {}", causes.empty() ? "" : "; ", rejection.runtime, reason);
    }
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("cannot serve model {} on {}: {}", quoted(model.name),
                          platform.to_string(),
                          causes.empty() ? "the catalog has no runtime for it" : causes))
      .with_hint("'aipack analyze' shows the model's operators, and 'aipack runtimes' what can "
                 "serve what");
}

/// One runtime that serves every model.
runtime::Runtime choose_runtime(const Context& context, const std::vector<model::Model>& models,
                                const oci::Platform& platform, const BuildRequest& request) {
  std::string wanted = request.runtime;
  std::optional<runtime::Runtime> chosen;
  for (const auto& model : models) {
    auto choice = context.catalog->choose(model, platform, wanted);
    if (const auto* rejections = std::get_if<std::vector<runtime::Rejection>>(&choice)) {
      refuse(model, platform, *rejections);
    }
    chosen = std::get<runtime::Runtime>(std::move(choice));
    wanted = chosen->name; // the others must be served by the same one
  }
  auto runtime = chosen->for_platform(platform);
  if (!request.suite.empty()) {
    runtime.suite = request.suite;
  }
  return runtime;
}

/// The program in aipack's data that the runtime's image gets; empty for packaged servers.
std::optional<oci::Digest> server_digest(Context& context, const runtime::Runtime& runtime,
                                         const Operation& op) {
  if (runtime.server.empty()) {
    return std::nullopt;
  }
  return blob::file_digest(context.data_file(runtime.server), context.digests, op);
}

ImagePlan plan_platform(Context& context, const BuildRequest& request,
                        const std::vector<model::Model>& models, const oci::Platform& platform,
                        deb::PackageSource& packages, const deb::Mirrors& mirrors,
                        const Operation& op) {
  ImagePlan image{.platform = platform,
                  .runtime = choose_runtime(context, models, platform, request),
                  .releases = {},
                  .indexes = {},
                  .choices = {},
                  .assumed = {}};
  image.server_digest = server_digest(context, image.runtime, op);

  const auto sources = deb::sources_for(image.runtime.suite, mirrors);
  const auto index = packages.snapshot(sources, platform, op);
  for (const auto& release : index.releases) {
    image.releases.push_back({.suite = release.suite,
                              .version = release.version,
                              .date = release.date,
                              .digest = release.digest});
  }
  for (const auto& file : index.indexes) {
    image.indexes.push_back({.suite = file.source.suite,
                             .path = file.release_path,
                             .digest = file.digest,
                             .size_bytes = file.size_bytes});
  }

  image.skipped = index.skipped;
  image.requested = request.packages;

  solve::Request wanted{.install = image.runtime.packages,
                        .assume_installed = image.runtime.assume_installed};
  wanted.install.insert(wanted.install.end(), request.packages.begin(), request.packages.end());
  auto outcome = solve::resolve(index, wanted, {.cache_dir = context.options.cache_dir}, op);
  std::visit(overloaded{[&](solve::Solution& solution) {
                          image.choices = std::move(solution.choices);
                          image.assumed = std::move(solution.assumed);
                        },
                        [&](const solve::Unsolvable& why) {
                          throw Error(ErrorCode::unsatisfiable,
                                      fmt::format("cannot choose packages for {}: {}",
                                                  platform.to_string(),
                                                  fmt::join(why.explanation, "; ")));
                        }},
             outcome);
  return image;
}

} // namespace

namespace {

/// What a base image serves need not be ONNX. What is, may still not reach out of its folder.
PlannedModel plan_plain_model(Context& context, const std::filesystem::path& path,
                              const BuildRequest& request, const Operation& op) {
  auto model = collect_plain_model(path, op);
  for (const auto& file : model.files) {
    if (file.path.ends_with(".onnx")) {
      (void)inspect_model(file.source, request, op);
    }
    model.digests.push_back(file.size_bytes <= max_digested_bytes
                                ? std::optional(blob::file_digest(file.source, context.digests, op))
                                : std::nullopt);
  }
  if (!request.model_name.empty()) {
    if (model.files.size() == 1 && model.files.front().path == model.name) {
      model.files.front().path = request.model_name;
    }
    model.name = request.model_name;
  }
  check_name(model.name);
  return model;
}

std::vector<PlannedModel> plan_plain_models(Context& context, const BuildRequest& request,
                                            const Operation& op) {
  if (request.models.size() > 1 && !request.model_name.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot use a model name: there is more than one model");
  }
  std::vector<PlannedModel> models;
  std::set<std::string> names;
  for (const auto& path : request.models) {
    models.push_back(plan_plain_model(context, path, request, op));
    if (!names.insert(models.back().name).second) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot build: two models are named {}", quoted(models.back().name)))
          .with_hint("rename one of them: a model stands in the image under its own name");
    }
  }
  return models;
}

} // namespace

bool is_model_name(std::string_view name) noexcept {
  constexpr std::size_t max_name_bytes = 200;
  return !name.empty() && name.size() <= max_name_bytes && name.front() != '.' &&
         name.find('/') == std::string_view::npos && is_utf8(name) &&
         std::ranges::none_of(name, [](char c) { return c >= 0 && c < ' '; });
}

Plan make_plan(Context& context, const BuildRequest& request, const Operation& op) {
  if (!request.base.empty()) {
    return {.request = request,
            .models = plan_plain_models(context, request, op),
            .images = plan_base(context, request, op)};
  }
  const auto models = inspect_models(request, op);
  const auto mirrors = mirrors_for(request);
  const auto packages = context.packages(request);
  Plan plan{.request = request, .models = planned(context, models, op), .images = {}};
  plan.images = map_each<ImagePlan>(request.platforms, context.threads, op,
                                    [&](const oci::Platform& platform, const Operation& inner) {
                                      return plan_platform(context, request, models, platform,
                                                           *packages, mirrors, inner);
                                    });
  return plan;
}

namespace {

/// Locked models are the same files: by digest where the lock has one, else by size.
void check_models(Context& context, std::vector<PlannedModel>& models, const Lock& lock,
                  std::string_view name, const Operation& op) {
  const auto fail = [&](std::string cause) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use lock file {}: {}", quoted(name), cause))
        .with_hint("write it again with 'aipack plan -o'");
  };
  if (models.size() != lock.models.size()) {
    fail(fmt::format("it pins {} models, {} were given", lock.models.size(), models.size()));
  }
  for (std::size_t i = 0; i < models.size(); ++i) {
    const auto& locked = lock.models[i];
    if (locked.name != models[i].name || locked.files.size() != models[i].files.size()) {
      fail(fmt::format("it pins model {}, not {}", quoted(locked.name), quoted(models[i].name)));
    }
    for (std::size_t j = 0; j < locked.files.size(); ++j) {
      const auto& file = models[i].files[j];
      if (locked.files[j].digest && !models[i].digests[j]) {
        models[i].digests[j] = blob::file_digest(file.source, context.digests, op);
      }
      if (locked.files[j].path != file.path || locked.files[j].size_bytes != file.size_bytes ||
          (locked.files[j].digest && locked.files[j].digest != models[i].digests[j])) {
        fail(fmt::format("model file {} is not the one it pins", quoted(file.path)));
      }
    }
  }
}

/// What the request says beside the lock must not contradict it.
void check_request(const BuildRequest& request, const Lock& lock, std::string_view name) {
  const auto fail = [&](std::string_view what) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use lock file {}: it pins {}", quoted(name), what))
        .with_hint("leave the option away, or write the lock again with 'aipack plan -o'");
  };
  for (const auto& image : lock.images) {
    if (request.base != (image.base ? image.base->reference : std::string())) {
      fail(image.base ? fmt::format("the base image {}", quoted(image.base->reference))
                      : "no base image");
    }
    if (!request.runtime.empty() && request.runtime != image.runtime.name) {
      fail("another runtime than --runtime");
    }
    if (!request.suite.empty() && request.suite != image.runtime.suite) {
      fail("another suite than --suite");
    }
    if (!request.packages.empty() && request.packages != image.requested) {
      fail("other packages than --package");
    }
  }
}

} // namespace

Plan make_locked_plan(Context& context, const BuildRequest& request, std::string_view lock_text,
                      std::string_view name, const Operation& op) {
  const auto lock = read_lock(lock_text, name, mirrors_for(request));
  Plan plan{.request = request,
            .models = request.base.empty() ? planned(context, inspect_models(request, op), op)
                                           : plan_plain_models(context, request, op),
            .images = {},
            .locked = true};
  check_models(context, plan.models, lock, name, op);
  check_request(request, lock, name);
  if (!request.base.empty() && request.every_platform) {
    plan.images = lock.images;
    check_locked_base(context, plan, op);
    return plan;
  }
  for (const auto& platform : request.platforms) {
    const auto image = std::ranges::find(lock.images, platform, &ImagePlan::platform);
    if (image == lock.images.end()) {
      throw Error(ErrorCode::invalid_input, fmt::format("cannot use lock file {}: it has no {}",
                                                        quoted(name), platform.to_string()))
          .with_hint("write it again for these platforms with 'aipack plan -o'");
    }
    plan.images.push_back(*image);
    if (image->base) {
      continue;
    }
    if (server_digest(context, image->runtime, op) != image->server_digest) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot use lock file {}: it pins another build of '{}'",
                              quoted(name), image->runtime.server))
          .with_hint("use the aipack version that wrote the lock, or write it again with 'aipack "
                     "plan -o'");
    }
  }
  if (!request.base.empty()) {
    check_locked_base(context, plan, op);
  }
  return plan;
}

} // namespace aipack::build
