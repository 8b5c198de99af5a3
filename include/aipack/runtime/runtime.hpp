#pragma once

#include "aipack/core/export.hpp"
#include "aipack/model/model.hpp"
#include "aipack/oci/platform.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace aipack::runtime {

/// One way to serve models: an entry of the catalog. Paths may hold "{triplet}" (Debian multiarch)
/// and "{arch}" (OCI name), which for_platform() fills in.
struct Runtime {
  std::string name;                 ///< "onnxruntime"
  std::string version;              ///< "1.21": of the implementation that the suite ships
  std::string title;                ///< for people
  std::vector<std::string> formats; ///< model formats it serves
  std::vector<oci::Platform> platforms;
  std::string suite;                         ///< Debian suite, "trixie"
  std::vector<std::string> packages;         ///< relations to install
  std::vector<std::string> assume_installed; ///< script-only dependencies to leave out
  std::vector<std::string> dlopened; ///< files (globs with '*' inside one part) that the server
                                     ///< opens at run time: closure roots
  std::vector<std::string> data; ///< files and directories (globs) kept beside the closure, because
                                 ///< kept programs read them
  std::string server;      ///< program in aipack's own data directory: "serve/{arch}/aipack-serve";
                           ///< empty: a packaged program
  std::string server_path; ///< where it stands in the image: "/usr/bin/aipack-serve"
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env; ///< "NAME=value"
  std::vector<std::string> exposed_ports;
  std::string models_directory; ///< "/models"

  /// Gates for ONNX models.
  std::int64_t max_ir_version = 0;
  std::map<std::string, std::int64_t>
      max_opsets; ///< domain → highest accepted version; a domain that is not listed is refused
  /// Settings of operators (model::OperatorUse::traits) that this runtime refuses, with the reason
  /// for people.
  std::map<std::string, std::string> unsupported_traits;
  std::string operator_table; ///< JSON file beside the entry: which operator versions have kernels;
                              ///< empty: not checked

  bool operator==(const Runtime&) const = default;
  /// With the placeholders replaced. Throws Error{unsupported} when it does not run there.
  [[nodiscard]] AIPACK_API Runtime for_platform(const oci::Platform& platform) const;
};

inline constexpr std::uint64_t max_entry_bytes = std::uint64_t{1} << 20;

/// Parses one catalog entry; `name` is what errors call it. Throws FormatError{corrupt} for what is
/// not JSON, Error{invalid_input} for an unknown, missing, repeated or mistyped key ("did you mean"
/// where one is near).
[[nodiscard]] AIPACK_API Runtime parse_runtime(std::string_view json, std::string_view name);

/// Why a runtime cannot serve a model: one sentence each, the first is the most telling.
struct Rejection {
  std::string runtime;
  std::vector<std::string> reasons;
  bool operator==(const Rejection&) const = default;
};

/// A chosen runtime, or why every one was turned down.
using Choice = std::variant<Runtime, std::vector<Rejection>>;

struct AIPACK_API RuntimeCatalog {
  virtual ~RuntimeCatalog() = default;
  [[nodiscard]] virtual const std::vector<Runtime>& runtimes() const noexcept = 0;
  /// Every reason why `runtime` (an entry of this catalog) cannot serve `model` on `platform`;
  /// empty: it can.
  [[nodiscard]] virtual std::vector<std::string>
  reasons_against(const Runtime& runtime, const model::Model& model,
                  const oci::Platform& platform) const = 0;
  /// The first entry that can; `wanted` (may be empty) restricts to one name. Throws
  /// Error{not_found} for an unknown name.
  [[nodiscard]] virtual Choice choose(const model::Model& model, const oci::Platform& platform,
                                      std::string_view wanted) const = 0;
};

/// Reads `*.json` of each directory, in name order; entries of later directories replace those of
/// the same name (so users extend and override). Throws FormatError{corrupt} or
/// Error{invalid_input} for an entry that breaks the schema (unknown keys included).
[[nodiscard]] AIPACK_API std::unique_ptr<RuntimeCatalog>
load_catalog(std::span<const std::filesystem::path> directories);

} // namespace aipack::runtime
