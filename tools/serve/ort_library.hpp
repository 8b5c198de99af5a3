#pragma once

#include "log.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <onnxruntime_c_api.h>

namespace aipack::serve {

/// Oldest C API that has every function which this program calls
/// (GetResizedStringTensorElementBuffer, the optional type).
inline constexpr unsigned oldest_api_version = 16;

/// A status of the runtime that is not OK.
class OrtFailure : public std::runtime_error {
public:
  OrtFailure(OrtErrorCode code, const std::string& message)
      : std::runtime_error(message), code_(code) {}
  [[nodiscard]] OrtErrorCode code() const noexcept { return code_; }

private:
  OrtErrorCode code_;
};

/// Owner of an object of the C API; the deleter is the API's own release function.
template <class T>
using OrtPtr = std::unique_ptr<T, void (*)(T*)>;

/// The files that may be the library, best first: folder by folder, in each the highest version
/// number first. `path` is a file, a folder, or "" for LD_LIBRARY_PATH, the folder of this process'
/// own C++ library, and the default folders of this architecture.
[[nodiscard]] std::vector<std::string> find_runtime_libraries(const std::string& path);

/// ONNX Runtime, opened at run time by its unversioned entry symbol, so that one binary works with
/// every release from 1.16 on, and its environment: one thread pool for all models, log messages
/// from warning upwards into our log, no telemetry. Stays loaded until the process ends. *Threads*:
/// const members from any.
class OrtLibrary {
public:
  /// Opens the first of find_runtime_libraries(path) that works. What the library prints while it
  /// is loaded is swallowed, and becomes part of the message when loading fails. Throws
  /// StartupError (not_found, or invalid_input when it is too old).
  OrtLibrary(const std::string& path, unsigned threads, Logger& log);

  [[nodiscard]] const OrtApi& api() const noexcept { return *api_; }
  [[nodiscard]] OrtEnv& environment() const noexcept { return *environment_; }
  [[nodiscard]] const std::string& version() const noexcept { return version_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Throws OrtFailure for a status that is not OK; takes it over.
  void check(OrtStatus* status) const;

  /// Calls an API function whose last parameter returns an object, and owns that.
  template <class T, class Function, class... Arguments>
  [[nodiscard]] OrtPtr<T> make(void (*release)(T*), Function function,
                               Arguments&&... arguments) const {
    T* object = nullptr;
    check(function(std::forward<Arguments>(arguments)..., &object));
    return OrtPtr<T>(object, release);
  }

private:
  void open(const std::vector<std::string>& candidates);
  void choose_api(const OrtApiBase& base);

  const OrtApi* api_ = nullptr;
  std::string version_;
  std::string path_;
  OrtPtr<OrtEnv> environment_{nullptr, nullptr};
};

} // namespace aipack::serve
