#include "ort_library.hpp"

#include "error.hpp"
#include "quiet_stdio.hpp"
#include "text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <stdexcept>

#include <dlfcn.h>
#include <link.h>

namespace aipack::serve {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view library_stem = "libonnxruntime.so";

#if defined(__x86_64__)
#define AIPACK_SERVE_TRIPLET "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define AIPACK_SERVE_TRIPLET "aarch64-linux-gnu"
#elif defined(__riscv)
#define AIPACK_SERVE_TRIPLET "riscv64-linux-gnu"
#endif
constexpr std::array default_folders{"/usr/local/lib", "/usr/lib/" AIPACK_SERVE_TRIPLET,
                                     "/lib/" AIPACK_SERVE_TRIPLET, "/usr/lib64", "/usr/lib"};

/// Numbers after "libonnxruntime.so", or nothing when the name is of another form.
[[nodiscard]] std::vector<unsigned> version_numbers(std::string_view name) {
  std::vector<unsigned> numbers;
  name.remove_prefix(library_stem.size());
  while (!name.empty()) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
    if (name.front() != '.' || error != std::errc{}) {
      return {};
    }
    name.remove_prefix(static_cast<std::size_t>(end - name.data()));
    numbers.push_back(number);
  }
  return numbers;
}

/// The folder that this process has its C++ library from, "" when it cannot be told. In an image
/// that is the default folder; in a root that is run in place by its own loader, it is the root's.
[[nodiscard]] std::string own_library_folder() {
  std::string folder;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        const std::string_view path = info->dlpi_name != nullptr ? info->dlpi_name : "";
        const std::size_t slash = path.rfind('/');
        if (slash == std::string_view::npos || !path.substr(slash).starts_with("/libstdc++.so")) {
          return 0;
        }
        *static_cast<std::string*>(out) = path.substr(0, slash);
        return 1;
      },
      &folder);
  return folder;
}

[[nodiscard]] std::vector<std::string> search_folders() {
  std::vector<std::string> folders;
  if (const char* paths = std::getenv("LD_LIBRARY_PATH")) {
    std::string_view rest(paths);
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(':'), rest.size());
      folders.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  folders.push_back(own_library_folder());
  folders.insert(folders.end(), default_folders.begin(), default_folders.end());
  std::erase(folders, "");
  return folders;
}

/// The libraries of one folder, the highest version first.
[[nodiscard]] std::vector<std::string> libraries_in(const std::string& folder) {
  std::vector<std::pair<std::vector<unsigned>, std::string>> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(library_stem)) {
      continue;
    }
    std::vector<unsigned> version = version_numbers(name);
    if (!version.empty() || name == library_stem) {
      found.emplace_back(std::move(version), entry.path().string());
    }
  }
  std::ranges::sort(found, std::ranges::greater{});
  std::vector<std::string> paths;
  for (auto& [version, path] : found) {
    paths.push_back(std::move(path));
  }
  return paths;
}

void ORT_API_CALL log_message(void* parameter, OrtLoggingLevel severity, const char* category,
                              const char*, const char* location, const char* message) {
  const LogLevel level = severity >= ORT_LOGGING_LEVEL_ERROR ? LogLevel::error : LogLevel::warning;
  static_cast<Logger*>(parameter)->log(level, message,
                                       {{"source", std::string_view("onnxruntime")},
                                        {"category", std::string_view(category)},
                                        {"location", std::string_view(location)}});
}

} // namespace

std::vector<std::string> find_runtime_libraries(const std::string& path) {
  std::error_code error;
  if (!path.empty() && !fs::is_directory(path, error)) {
    return {path};
  }
  std::vector<std::string> paths;
  for (const std::string& folder : path.empty() ? search_folders() : std::vector{path}) {
    std::ranges::move(libraries_in(folder), std::back_inserter(paths));
  }
  return paths;
}

OrtLibrary::OrtLibrary(const std::string& path, unsigned threads, Logger& log) {
  // A model may carry session options in its metadata; this variable decides whether they count.
  // Options are ours.
  ::setenv("ORT_LOAD_CONFIG_FROM_MODEL", "0", 1);
  const std::vector<std::string> candidates = find_runtime_libraries(path);
  if (candidates.empty()) {
    throw StartupError(ExitCode::not_found,
                       "cannot open ONNX Runtime: no libonnxruntime.so.* in " +
                           (path.empty() ? std::string("the library folders") : quote(path)),
                       "install libonnxruntime, or say --runtime-library");
  }
  open(candidates);
  try {
    QuietStdio
        quiet; // the first environment looks at the CPU and may complain about a minimal /sys
    const auto pool =
        make<OrtThreadingOptions>(api_->ReleaseThreadingOptions, api_->CreateThreadingOptions);
    check(api_->SetGlobalIntraOpNumThreads(pool.get(), static_cast<int>(threads)));
    check(api_->SetGlobalInterOpNumThreads(pool.get(), 1));
    // Spinning threads eat the CPU quota of a container while there is nothing to do.
    check(api_->SetGlobalSpinControl(pool.get(), 0));
    environment_ = make<OrtEnv>(
        api_->ReleaseEnv, api_->CreateEnvWithCustomLoggerAndGlobalThreadPools, &log_message,
        static_cast<void*>(&log), ORT_LOGGING_LEVEL_WARNING, "aipack-serve", pool.get());
    check(api_->DisableTelemetryEvents(environment_.get()));
  } catch (const OrtFailure& failure) {
    throw StartupError(ExitCode::bug,
                       "cannot start ONNX Runtime " + version_ + ": " + failure.what());
  }
}

void OrtLibrary::open(const std::vector<std::string>& candidates) {
  std::string causes;
  for (const std::string& candidate : candidates) {
    QuietStdio quiet;
    void* handle = ::dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
    const char* cause = handle == nullptr ? ::dlerror() : nullptr;
    void* entry = handle != nullptr ? ::dlsym(handle, "OrtGetApiBase") : nullptr;
    if (entry != nullptr) {
      path_ = candidate;
      choose_api(*reinterpret_cast<const OrtApiBase* (*)()>(entry)());
      return;
    }
    causes += (causes.empty() ? "" : "; ") +
              std::string(cause != nullptr ? cause : "it has no OrtGetApiBase");
    if (const std::string printed = quiet.release(); !printed.empty()) {
      causes += " (it printed: " + quote(printed) + ")";
    }
  }
  throw StartupError(ExitCode::not_found, "cannot open ONNX Runtime: " + causes,
                     "check --runtime-library and that the libraries it needs are there");
}

void OrtLibrary::choose_api(const OrtApiBase& base) {
  version_ = base.GetVersionString();
  // Release 1.N offers API N and everything older; asking for more makes it print to standard
  // error.
  unsigned minor = 0;
  const std::size_t dot = version_.find('.');
  if (dot != std::string::npos) {
    std::from_chars(version_.data() + dot + 1, version_.data() + version_.size(), minor);
  }
  for (unsigned version = std::min<unsigned>(minor, ORT_API_VERSION); version >= oldest_api_version;
       --version) {
    api_ = base.GetApi(version);
    if (api_ != nullptr) {
      return;
    }
  }
  throw StartupError(ExitCode::invalid_input, "cannot use ONNX Runtime " + quote(version_) +
                                                  " of " + quote(path_) + ": it is older than 1." +
                                                  std::to_string(oldest_api_version));
}

void OrtLibrary::check(OrtStatus* status) const {
  if (status == nullptr) {
    return;
  }
  const OrtErrorCode code = api_->GetErrorCode(status);
  const std::string message = api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  throw OrtFailure(code, message);
}

} // namespace aipack::serve
