#pragma once

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

#include "aipack/core/export.hpp"
#include "aipack/io/file.hpp"
#include "aipack/oci/digest.hpp"

namespace aipack::model {

/// Formats that aipack recognises by content. Only some can be served (runtime::RuntimeCatalog); the others are named to the user.
enum class ModelFormat { onnx };
[[nodiscard]] AIPACK_API std::string_view to_string(ModelFormat format) noexcept;

/// One axis of a shape: a size, a symbol ("batch"), or unknown.
using Dimension = std::variant<std::monostate, std::int64_t, std::string>;

/// A graph input or output. `shape` is outermost first, in elements; empty `shape` with `has_shape` is a scalar.
struct TensorInfo {
    std::string name;
    std::string element_type; ///< lower-case ONNX name: "float", "int64", "string"; or "sequence", "map", "optional"
    bool has_shape = false;   ///< false: any rank
    std::vector<Dimension> shape{};
    bool operator==(const TensorInfo&) const = default;
    [[nodiscard]] AIPACK_API std::string shape_text() const; ///< "[batch, 64]"
};

struct OperatorCount {
    std::string domain; ///< "" is ai.onnx
    std::string name;
    std::uint64_t count = 0;
    auto operator<=>(const OperatorCount&) const = default;
};

struct Opset {
    std::string domain;
    std::int64_t version = 0;
    auto operator<=>(const Opset&) const = default;
};

/// A file that the model is made of. The first is the model itself; the others hold external tensor data.
struct ModelFile {
    std::string path; ///< relative to the model's folder, "/" separated, no "..": where it goes below /models/NAME in the image
    std::filesystem::path source;
    std::uint64_t size_bytes = 0;
    io::FileIdentity identity{};
};

enum class Severity { info, warning, error };
[[nodiscard]] AIPACK_API std::string_view to_string(Severity severity) noexcept;

/// Something noteworthy. Rules have stable names ("ONNX-EXT-PATH"); an error stops a build unless it is waived.
struct Finding {
    std::string rule;
    Severity severity = Severity::info;
    std::string message;
    std::string location{}; ///< "graph.initializer 'w0'", a node, a byte offset
    bool operator==(const Finding&) const = default;
};

/// What a model says of itself, read without its weights.
struct Model {
    ModelFormat format = ModelFormat::onnx;
    std::string name; ///< file stem (of the folder's only model file): the name it is served under
    std::vector<ModelFile> files;
    std::string producer_name;
    std::string producer_version;
    std::string domain;
    std::string description;
    std::int64_t model_version = 0;
    std::int64_t ir_version = 0;
    std::vector<Opset> opsets;              ///< sorted by domain
    std::vector<OperatorCount> operators;   ///< sorted; subgraphs and functions included, functions' own nodes expanded once per definition
    std::vector<std::string> custom_domains; ///< domains of operators that are neither standard nor defined as functions in the model
    std::vector<TensorInfo> inputs;         ///< without initializers
    std::vector<TensorInfo> outputs;
    std::uint64_t initializer_count = 0;
    std::uint64_t parameter_count = 0;      ///< elements of all initializers
    std::uint64_t weight_bytes = 0;
    std::uint64_t memory_bytes_estimate = 0; ///< resident bytes when loaded, upper bound (0: unknown)
    std::map<std::string, std::string> metadata; ///< metadata_props
    std::string license;                    ///< from metadata ("license"), empty when the model states none
    std::vector<Finding> findings;

    [[nodiscard]] AIPACK_API std::uint64_t size_bytes() const noexcept; ///< of all files
};

/// Reader limits; a model beyond them is refused with FormatError{corrupt} or Error{unsupported}.
struct Limits {
    std::uint64_t max_nodes = 10'000'000;
    std::uint64_t max_initializers = 1'000'000;
    std::uint64_t max_functions = 10'000;
    unsigned max_graph_depth = 64;
    unsigned max_function_depth = 100;
    std::uint64_t max_string_bytes = std::uint64_t{16} << 20;
    std::uint64_t max_dimensions = 64;
};

/// Reads one format from random access or a map; never the weights.
struct AIPACK_API ModelReader {
    virtual ~ModelReader() = default;
    [[nodiscard]] virtual bool recognises(std::span<const std::byte> head) const noexcept = 0;
    /// `directory` is where external data files live; empty: none are allowed.
    [[nodiscard]] virtual Model read(const io::RandomAccess& file, const std::filesystem::path& path, const Limits& limits,
                                     const Operation& op) const = 0;
};

/// Reads a model file, or a folder with one model file and what belongs to it (external data). Cost does not grow with the weights.
/// Throws Error{not_found | invalid_input | unsupported}, FormatError{corrupt}. Findings with Severity::error are *returned*, so that
/// `analyze` can show them all; `require_acceptable` turns them into an exception.
[[nodiscard]] AIPACK_API Model inspect(const std::filesystem::path& path, const Operation& op, const Limits& limits = {});
/// Throws Error{invalid_input} naming the first error finding (and how many more there are).
AIPACK_API void require_acceptable(const Model& model);

} // namespace aipack::model
