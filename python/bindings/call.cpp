#include "bindings.hpp"

#include <chrono>
#include <exception>
#include <future>
#include <mutex>

namespace aipack::python {

namespace {

/// One event, copied: the library's is valid only during the call.
struct Event {
  std::string kind;
  std::uint64_t id;
  std::uint64_t parent;
  std::uint64_t done;
  std::uint64_t total;
  std::string label;
};

std::string kind_name(ProgressEvent::Kind kind) {
  switch (kind) {
  case ProgressEvent::Kind::begin:
    return "begin";
  case ProgressEvent::Kind::advance:
    return "advance";
  case ProgressEvent::Kind::end:
    return "end";
  }
  return "end";
}

/// Hands events to a Python callable, one at a time. What it raises is kept for the caller's
/// thread.
class PythonProgress final : public ProgressSink {
public:
  PythonProgress(py::object callable, std::stop_source stop)
      : callable_(std::move(callable)), stop_(std::move(stop)) {}

  void on_event(const ProgressEvent& event) noexcept override {
    const py::gil_scoped_acquire gil;
    if (error_) {
      return;
    }
    try {
      callable_(Event{kind_name(event.kind), event.id, event.parent, event.done, event.total,
                      std::string(event.label)});
    } catch (...) {
      error_ = std::current_exception();
      stop_.request_stop();
    }
  }
  /// With the GIL held.
  void rethrow() const {
    if (error_) {
      std::rethrow_exception(error_);
    }
  }

private:
  py::object callable_;
  std::stop_source stop_;
  std::exception_ptr error_;
};

} // namespace

void run(const py::object& progress, const std::function<void(const Operation&)>& work) {
  std::stop_source stop;
  std::unique_ptr<PythonProgress> sink;
  if (!progress.is_none()) {
    sink = std::make_unique<PythonProgress>(progress, stop);
  }
  const Operation op{stop.get_token(), sink ? static_cast<ProgressSink&>(*sink) : no_progress()};
  auto done = std::async(std::launch::async, [&] { work(op); });
  bool interrupted = false;
  for (bool finished = false; !finished;) {
    {
      const py::gil_scoped_release release;
      finished = done.wait_for(std::chrono::milliseconds(100)) == std::future_status::ready;
    }
    if (!finished && !interrupted && PyErr_CheckSignals() != 0) {
      interrupted = true;
      stop.request_stop();
    }
  }
  if (interrupted) {
    throw py::error_already_set(); // KeyboardInterrupt
  }
  if (sink) {
    sink->rethrow();
  }
  done.get();
}

py::str text(const std::string& bytes) {
  return py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

void bind_progress(py::module_& module) {
  py::class_<Event>(module, "ProgressEvent", "One step of one piece of work; sizes in bytes.")
      .def_readonly("kind", &Event::kind, "'begin', 'advance' or 'end'")
      .def_readonly("id", &Event::id)
      .def_readonly("parent", &Event::parent, "0: a top-level piece of work")
      .def_readonly("done", &Event::done)
      .def_readonly("total", &Event::total, "0: unknown")
      .def_readonly("label", &Event::label)
      .def("__repr__", [](const Event& event) {
        return "<ProgressEvent " + event.kind + " " + event.label + ">";
      });
}

} // namespace aipack::python
