#include "aipack/core/version.hpp"

#include "bindings.hpp"

#include <cstdlib>

namespace aipack::python {

namespace {

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

std::filesystem::path home() {
  const char* value = environment("HOME");
  return value != nullptr ? value : "";
}

std::uint64_t count(const transfer::Tally& tally) {
  return tally.count;
}

} // namespace

registry::RegistryOptions registry_options(const std::string& auth_file, bool plain_http) {
  registry::RegistryOptions options{
      .credentials = std::make_shared<registry::CredentialFiles>(registry::CredentialFilesOptions{
          .auth_file = auth_file, .environment = environment, .home = home()}),
      .settings = registry::RegistrySettings::read({.environment = environment, .home = home()}),
      .user_agent = "aipack/" + std::string(version()) + " python"};
  if (plain_http) {
    options.settings = options.settings.with_plain_http();
  }
  return options;
}

std::vector<transfer::ContainerEngine> container_engines(const std::vector<std::string>& names,
                                                         const Operation& op) {
  std::vector<transfer::ContainerEngine> engines;
  for (const auto& name : names) {
    engines.push_back(transfer::find_engine(transfer::parse_engine_kind(name), environment, op));
  }
  return engines;
}

void bind_transfer(py::module_& module) {
  using transfer::CopyReport;
  py::class_<CopyReport>(module, "CopyReport", "What a copy or a push did; sizes in bytes.")
      .def_readonly("reference", &CopyReport::reference)
      .def_property_readonly(
          "digest", [](const CopyReport& report) { return report.root.digest.to_string(); })
      .def_readonly("unchanged", &CopyReport::unchanged, "It was there already.")
      .def_property_readonly(
          "present", [](const CopyReport& report) { return count(report.present); },
          "Blobs that were there.")
      .def_property_readonly(
          "mounted", [](const CopyReport& report) { return count(report.mounted); },
          "Blobs taken from another repository of the registry.")
      .def_property_readonly(
          "sent", [](const CopyReport& report) { return count(report.sent); }, "Blobs transferred.")
      .def_property_readonly(
          "resumed", [](const CopyReport& report) { return count(report.resumed); },
          "Blobs whose interrupted transfer was continued.")
      .def_readonly("sent_bytes", &CopyReport::sent_bytes)
      .def_readonly("requests", &CopyReport::requests)
      .def_readonly("notes", &CopyReport::notes)
      .def("__repr__", [](const CopyReport& report) {
        return "<CopyReport " + report.reference + " " + report.root.digest.to_string() + ">";
      });
  using transfer::LoadReport;
  py::class_<LoadReport>(module, "LoadReport", "What was put into a container engine.")
      .def_property_readonly(
          "engine", [](const LoadReport& report) { return std::string(to_string(report.engine)); })
      .def_readonly("reference", &LoadReport::reference)
      .def_property_readonly("platform",
                             [](const LoadReport& report) { return report.platform.to_string(); });
}

} // namespace aipack::python
