#include "bindings.hpp"

namespace aipack::python {

namespace {

py::object shape(const model::TensorInfo& tensor) {
  if (!tensor.has_shape) {
    return py::none();
  }
  py::list dimensions;
  for (const auto& dimension : tensor.shape) {
    if (const auto* size = std::get_if<std::int64_t>(&dimension)) {
      dimensions.append(*size);
    } else if (const auto* symbol = std::get_if<std::string>(&dimension)) {
      dimensions.append(text(*symbol));
    } else {
      dimensions.append(py::none());
    }
  }
  return py::tuple(dimensions);
}

} // namespace

void bind_model(py::module_& module) {
  py::class_<model::TensorInfo>(module, "Tensor", "A graph input or output.")
      .def_property_readonly("name",
                             [](const model::TensorInfo& tensor) { return text(tensor.name); })
      .def_readonly("element_type", &model::TensorInfo::element_type)
      .def_property_readonly(
          "shape", &shape,
          "Outermost first: sizes, symbol names, None for unknown; None for any rank.")
      .def("__repr__", [](const model::TensorInfo& tensor) {
        return "<Tensor " + tensor.name + " " + tensor.element_type + tensor.shape_text() + ">";
      });
  py::class_<model::OperatorCount>(module, "Operator",
                                   "An operator and how often it stands in the model.")
      .def_property_readonly("domain",
                             [](const model::OperatorCount& op) { return text(op.domain); })
      .def_property_readonly("name", [](const model::OperatorCount& op) { return text(op.name); })
      .def_readonly("count", &model::OperatorCount::count);
  py::class_<model::ModelFile>(module, "ModelFile", "A file that the model is made of.")
      .def_readonly("path", &model::ModelFile::path)
      .def_readonly("size_bytes", &model::ModelFile::size_bytes);
  py::class_<model::Finding>(module, "Finding",
                             "Something noteworthy in a model; 'error' stops a build.")
      .def_readonly("rule", &model::Finding::rule)
      .def_property_readonly(
          "severity",
          [](const model::Finding& finding) { return std::string(to_string(finding.severity)); })
      .def_property_readonly("message",
                             [](const model::Finding& finding) { return text(finding.message); })
      .def_property_readonly("location",
                             [](const model::Finding& finding) { return text(finding.location); });
  py::class_<model::Model>(module, "Model",
                           "What a model says of itself, read without its weights.")
      .def_property_readonly(
          "format", [](const model::Model& model) { return std::string(to_string(model.format)); })
      .def_property_readonly("name", [](const model::Model& model) { return text(model.name); })
      .def_readonly("files", &model::Model::files)
      .def_property_readonly("producer_name",
                             [](const model::Model& model) { return text(model.producer_name); })
      .def_property_readonly("producer_version",
                             [](const model::Model& model) { return text(model.producer_version); })
      .def_property_readonly("description",
                             [](const model::Model& model) { return text(model.description); })
      .def_property_readonly("license",
                             [](const model::Model& model) { return text(model.license); })
      .def_readonly("ir_version", &model::Model::ir_version)
      .def_property_readonly("opsets",
                             [](const model::Model& model) {
                               py::dict opsets;
                               for (const auto& opset : model.opsets) {
                                 opsets[text(opset.domain)] = opset.version;
                               }
                               return opsets;
                             })
      .def_readonly("operators", &model::Model::operators)
      .def_readonly("inputs", &model::Model::inputs)
      .def_readonly("outputs", &model::Model::outputs)
      .def_readonly("initializer_count", &model::Model::initializer_count)
      .def_readonly("parameter_count", &model::Model::parameter_count)
      .def_readonly("weight_bytes", &model::Model::weight_bytes)
      .def_readonly("memory_bytes_estimate", &model::Model::memory_bytes_estimate)
      .def_property_readonly("size_bytes", &model::Model::size_bytes)
      .def_property_readonly("metadata",
                             [](const model::Model& model) {
                               py::dict metadata;
                               for (const auto& [key, value] : model.metadata) {
                                 metadata[text(key)] = text(value);
                               }
                               return metadata;
                             })
      .def_readonly("findings", &model::Model::findings)
      .def("__repr__", [](const model::Model& model) {
        return "<Model " + model.name + " " + std::string(to_string(model.format)) + ">";
      });
}

} // namespace aipack::python
