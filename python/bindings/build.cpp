#include "bindings.hpp"

namespace aipack::python {

namespace {

/// Settings as Python gives them: strings, lists of strings and mappings by the keys of
/// aipack.yaml; an unknown one is an error.
build::Settings settings_from(const py::dict& values) {
  build::Settings settings;
  for (const auto& [key_object, value] : values) {
    const auto key = key_object.cast<std::string>();
    const auto take = [&](auto& member) {
      member = value.cast<typename std::decay_t<decltype(member)>::value_type>();
    };
    if (key == "model_name") {
      take(settings.model_name);
    } else if (key == "platform") {
      take(settings.platform);
    } else if (key == "base") {
      take(settings.base);
    } else if (key == "runtime") {
      take(settings.runtime);
    } else if (key == "suite") {
      take(settings.suite);
    } else if (key == "mirror") {
      take(settings.mirror);
      settings.mirror_origin = "mirror";
    } else if (key == "user") {
      take(settings.user);
    } else if (key == "compress") {
      take(settings.compress);
    } else if (key == "source_date_epoch") {
      settings.source_date_epoch = py::str(value).cast<std::string>();
    } else if (key == "ignore_valid_until") {
      take(settings.ignore_valid_until);
    } else if (key == "skip_incomplete_suites") {
      take(settings.skip_incomplete_suites);
    } else if (key == "allow") {
      take(settings.allow);
    } else if (key == "waive_scripts") {
      take(settings.waive_scripts);
    } else if (key == "packages") {
      take(settings.packages);
    } else if (key == "files") {
      take(settings.files);
    } else if (key == "env") {
      take(settings.env);
    } else if (key == "entrypoint") {
      take(settings.entrypoint);
    } else if (key == "labels") {
      settings.labels = value.cast<std::map<std::string, std::string>>();
    } else if (key == "annotations") {
      settings.annotations = value.cast<std::map<std::string, std::string>>();
    } else {
      throw py::type_error("unknown option '" + key + "'");
    }
  }
  return settings;
}

oci::Platform platform_or_host(const std::string& platform) {
  return platform.empty() ? oci::Platform::host() : oci::Platform::parse(platform);
}

std::optional<std::string> optional_digest(const std::optional<oci::Digest>& digest) {
  return digest ? std::optional(digest->to_string()) : std::nullopt;
}

build::Plan make_plan(const build::Engine& engine, const std::vector<std::string>& models,
                      const py::dict& settings, const std::optional<std::string>& lock,
                      const py::object& progress) {
  const auto request = build::make_request({models.begin(), models.end()}, settings_from(settings));
  return call<build::Plan>(progress, [&](const Operation& op) {
    return lock ? engine.plan_locked(request, *lock, "lock", op) : engine.plan(request, op);
  });
}

void bind_reports(py::module_& module) {
  using build::LayerReport;
  using build::PlatformReport;
  py::class_<LayerReport>(module, "Layer", "A layer that was planned or built; sizes in bytes.")
      .def_property_readonly(
          "purpose", [](const LayerReport& layer) { return std::string(to_string(layer.purpose)); })
      .def_readonly("title", &LayerReport::title)
      .def_property_readonly(
          "digest", [](const LayerReport& layer) { return optional_digest(layer.digest); },
          "None in a plan.")
      .def_property_readonly(
          "diff_id", [](const LayerReport& layer) { return optional_digest(layer.diff_id); },
          "None in a plan.")
      .def_readonly("media_type", &LayerReport::media_type)
      .def_readonly("size_bytes", &LayerReport::size_bytes)
      .def_readonly("uncompressed_bytes", &LayerReport::uncompressed_bytes)
      .def_readonly("files", &LayerReport::files);
  py::class_<solve::Choice>(module, "Package",
                            "A Debian package that was chosen, and what asked for it.")
      .def_property_readonly("name",
                             [](const solve::Choice& choice) { return choice.package.name; })
      .def_property_readonly("version",
                             [](const solve::Choice& choice) { return choice.package.version; })
      .def_property_readonly(
          "architecture", [](const solve::Choice& choice) { return choice.package.architecture; })
      .def_property_readonly(
          "suite", [](const solve::Choice& choice) { return choice.package.source_suite; })
      .def_property_readonly(
          "digest", [](const solve::Choice& choice) { return choice.package.digest.to_string(); })
      .def_property_readonly("size_bytes",
                             [](const solve::Choice& choice) { return choice.package.size_bytes; })
      .def_readonly("required_by", &solve::Choice::required_by)
      .def_readonly("relation", &solve::Choice::relation);
  py::class_<rootfs::Dropped>(module, "Dropped", "Something that is not in the image, and why.")
      .def_readonly("what", &rootfs::Dropped::what)
      .def_readonly("package", &rootfs::Dropped::package)
      .def_readonly("size_bytes", &rootfs::Dropped::size_bytes)
      .def_readonly("reason", &rootfs::Dropped::reason);
  py::class_<PlatformReport>(module, "PlatformReport", "One platform of a plan or a build.")
      .def_property_readonly(
          "platform", [](const PlatformReport& report) { return report.platform.to_string(); })
      .def_readonly("runtime", &PlatformReport::runtime)
      .def_property_readonly(
          "digest", [](const PlatformReport& report) { return optional_digest(report.digest); })
      .def_readonly("packages", &PlatformReport::packages)
      .def_readonly("dropped", &PlatformReport::dropped)
      .def_readonly("notes", &PlatformReport::notes)
      .def_readonly("layers", &PlatformReport::layers)
      .def_readonly("image_bytes", &PlatformReport::image_bytes)
      .def_readonly("image_bytes_compressed", &PlatformReport::image_bytes_compressed);
  py::class_<build::PlanReport>(module, "PlanReport", "What an image would hold.")
      .def_readonly("platforms", &build::PlanReport::platforms);
  py::class_<build::BuildReport>(module, "BuildReport", "What was built, and where it went.")
      .def_readonly("reference", &build::BuildReport::reference)
      .def_property_readonly(
          "digest", [](const build::BuildReport& report) { return report.digest.to_string(); })
      .def_readonly("platforms", &build::BuildReport::platforms)
      .def_property_readonly(
          "new_bytes", [](const build::BuildReport& report) { return report.written.new_bytes; })
      .def_readonly("pushed", &build::BuildReport::pushed, "One per registry.")
      .def_readonly("loaded", &build::BuildReport::loaded, "One per container engine.")
      .def_readonly("attached", &build::BuildReport::attached, "Beside the image.")
      .def_readonly("notes", &build::BuildReport::notes)
      .def("__repr__", [](const build::BuildReport& report) {
        return "<BuildReport " + report.reference + " " + report.digest.to_string() + ">";
      });
  py::class_<build::RuntimeVerdict>(module, "Verdict", "Whether a runtime can serve a model.")
      .def_readonly("name", &build::RuntimeVerdict::name)
      .def_readonly("supported", &build::RuntimeVerdict::supported)
      .def_readonly("reason", &build::RuntimeVerdict::reason);
  py::class_<rootfs::ChainLink>(module, "WhyLink",
                                "One link of the chain that put a file into an image.")
      .def_property_readonly("path",
                             [](const rootfs::ChainLink& link) { return link.path.to_string(); })
      .def_property_readonly("rule", [](const rootfs::ChainLink& link) { return link.reason.rule; })
      .def_property_readonly("detail",
                             [](const rootfs::ChainLink& link) { return link.reason.detail; })
      .def_readonly("package", &rootfs::ChainLink::package);
}

} // namespace

void bind_build(py::module_& module) {
  bind_reports(module);
  py::class_<build::Plan>(module, "Plan", "Every decision of a build.")
      .def_property_readonly("platforms",
                             [](const build::Plan& plan) {
                               std::vector<std::string> platforms;
                               for (const auto& image : plan.images) {
                                 platforms.push_back(image.platform.to_string());
                               }
                               return platforms;
                             })
      .def_property_readonly(
          "packages",
          [](const build::Plan& plan) {
            std::map<std::string, std::vector<solve::Choice>> packages;
            for (const auto& image : plan.images) {
              packages[image.platform.to_string()] = image.choices;
            }
            return packages;
          },
          "The chosen packages by platform.")
      .def_property_readonly(
          "default_name",
          [](const build::Plan& plan) { return build::default_image_name(plan.models); })
      .def(
          "lock", [](const build::Plan& plan) { return build::write_lock(plan); },
          "The text of the lock file.");
  py::class_<build::Engine>(module, "Engine")
      .def(py::init([](const std::string& cache_dir, const std::vector<std::string>& data_dirs,
                       const std::vector<std::string>& catalog_dirs,
                       const std::vector<std::string>& keyrings, const std::string& verdict_key,
                       bool offline, unsigned jobs, std::int64_t now, const std::string& auth_file,
                       bool plain_http) {
        return build::Engine({.cache_dir = cache_dir,
                              .data_dirs = {data_dirs.begin(), data_dirs.end()},
                              .catalog_dirs = {catalog_dirs.begin(), catalog_dirs.end()},
                              .keyrings = {keyrings.begin(), keyrings.end()},
                              .verdict_key = verdict_key,
                              .now = now,
                              .offline = offline,
                              .concurrency = jobs,
                              .registry = registry_options(auth_file, plain_http)});
      }))
      .def("analyze",
           [](const build::Engine& engine, const std::string& path, const py::object& progress) {
             return call<model::Model>(
                 progress, [&](const Operation& op) { return engine.analyze(path, op); });
           })
      .def("verdicts",
           [](const build::Engine& engine, const model::Model& model, const std::string& platform) {
             return engine.verdicts(model, platform_or_host(platform));
           })
      .def("plan", &make_plan)
      .def("describe",
           [](const build::Engine& engine, const build::Plan& plan, const py::object& progress) {
             return call<build::PlanReport>(
                 progress, [&](const Operation& op) { return engine.describe(plan, op); });
           })
      .def("build",
           [](const build::Engine& engine, const build::Plan& plan,
              const std::vector<std::string>& destinations, const std::vector<std::string>& engines,
              const std::string& engine_tag, const py::object& key, bool sboms, bool large_models,
              std::int64_t now, const py::object& progress) {
             std::unique_ptr<sign::Signatory> signatory;
             build::Outputs outputs{.engine_tag = engine_tag,
                                    .signing = signing_of(key, sboms, large_models, now, signatory),
                                    .signed_name = engine_tag};
             for (const auto& destination : destinations) {
               outputs.destinations.push_back(image::Location::parse(destination));
             }
             return call<build::BuildReport>(progress, [&](const Operation& op) {
               outputs.engines = container_engines(engines, op);
               return engine.build(plan, outputs, op);
             });
           })
      .def("copy",
           [](const build::Engine& engine, const std::string& source,
              const std::string& destination, const std::string& platforms, bool referrers,
              const py::object& progress) {
             transfer::CopyOptions options{.referrers = referrers};
             if (!platforms.empty() && platforms != "all") {
               options.platforms = oci::Platform::parse_list(platforms);
             }
             return call<transfer::CopyReport>(progress, [&](const Operation& op) {
               return transfer::copy(image::Location::parse(source),
                                     image::Location::parse(destination), engine.registries(),
                                     options, op);
             });
           })
      .def("tags",
           [](const build::Engine& engine, const std::string& repository,
              const py::object& progress) {
             const auto name = oci::Reference::parse(repository);
             return call<std::vector<std::string>>(progress, [&](const Operation& op) {
               return engine.registries().open(name, registry::Access::pull).tags(op);
             });
           })
      .def("inspect",
           [](const build::Engine& engine, const std::string& reference,
              const py::object& progress) {
             const auto location = image::Location::parse(reference);
             return call<image::ImageSource>(progress, [&](const Operation& op) {
               const auto origin = transfer::open_origin(location, engine.registries(), op);
               return transfer::open_image(*origin, op);
             });
           })
      .def("sbom",
           [](const build::Engine& engine, const std::string& reference, const std::string& format,
              const std::string& platform, const py::object& progress) {
             const auto location = image::Location::parse(reference);
             const auto wanted = sbom::parse_format(format);
             return call<std::string>(progress, [&](const Operation& op) {
               const auto origin = transfer::open_origin(location, engine.registries(), op);
               const auto whole = sbom::take_inventory(transfer::open_image(*origin, op), op);
               return sbom::write(
                   platform.empty() ? whole : sbom::part_of(whole, oci::Platform::parse(platform)),
                   wanted);
             });
           })
      .def("why", [](const build::Engine& engine, const std::string& reference,
                     const std::string& path, const std::string& platform,
                     const py::object& progress) {
        const auto location = image::Location::parse(reference);
        return call<std::vector<rootfs::ChainLink>>(progress, [&](const Operation& op) {
          const auto origin = transfer::open_origin(location, engine.registries(), op);
          const auto wanted = platform.empty() ? transfer::open_image(*origin, op).image().platform
                                               : oci::Platform::parse(platform);
          return engine.why(location, wanted, fs::RootPath::parse(path), op);
        });
      });
}

} // namespace aipack::python
