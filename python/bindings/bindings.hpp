#pragma once

#include "aipack/aipack.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace aipack::python {

namespace py = pybind11;

// One function per part of the API.
void bind_errors(py::module_& module);
void bind_model(py::module_& module);
void bind_image(py::module_& module);
void bind_transfer(py::module_& module);
void bind_trust(py::module_& module);
void bind_build(py::module_& module);
void bind_progress(py::module_& module);

/// Runs `work` without the GIL on a thread of its own, while this one looks for Ctrl-C ten times a
/// second and asks the work to stop. Progress goes to `progress` (a callable or None); an exception
/// that it raises stops the work and is raised here.
void run(const py::object& progress, const std::function<void(const Operation&)>& work);

template <class Result, class Work>
Result call(const py::object& progress, Work&& work) {
  std::optional<Result> result;
  run(progress, [&](const Operation& op) { result.emplace(work(op)); });
  return std::move(*result);
}

/// Registries as docker and podman know them on this machine.
[[nodiscard]] registry::RegistryOptions registry_options(const std::string& auth_file,
                                                         bool plain_http);
/// The engines of these names; throws as transfer::find_engine() does.
[[nodiscard]] std::vector<transfer::ContainerEngine>
container_engines(const std::vector<std::string>& names, const Operation& op);

/// How a build is signed: `key` is a Key or None. `signatory` is what the result refers to.
[[nodiscard]] build::Signing signing_of(const py::object& key, bool sboms, bool large_models,
                                        std::int64_t now,
                                        std::unique_ptr<sign::Signatory>& signatory);

/// Text out of a model or an image as a Python string: bytes that are not UTF-8 are replaced, since
/// they are the author's, not ours.
[[nodiscard]] py::str text(const std::string& bytes);

} // namespace aipack::python
