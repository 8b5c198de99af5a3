#include "bindings.hpp"

namespace aipack::python {

void bind_errors(py::module_&) {
  // The one translator: every aipack::Error becomes the Python class of its code
  // (aipack/_errors.py).
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) {
        std::rethrow_exception(pointer);
      }
    } catch (const Error& error) {
      const auto from_code = py::module_::import("aipack._errors").attr("from_code");
      py::list context;
      for (const auto& frame : error.context()) {
        context.append(text(frame));
      }
      const py::object exception = from_code(std::string(to_string(error.code())),
                                             text(error.message()), context, text(error.hint()));
      PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
    }
  });
}

} // namespace aipack::python
