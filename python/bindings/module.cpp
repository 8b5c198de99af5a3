#include "bindings.hpp"

PYBIND11_MODULE(_core, module) {
  using namespace aipack::python;
  module.doc() = "The aipack library; use it through the package 'aipack'.";
  module.attr("__version__") = std::string(aipack::version());
  bind_errors(module);
  bind_progress(module);
  bind_model(module);
  bind_image(module);
  bind_transfer(module);
  bind_trust(module);
  bind_build(module);
}
