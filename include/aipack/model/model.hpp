#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/io/file.hpp"
#include "aipack/oci/digest.hpp"

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

namespace aipack::model {

/// Formats that aipack recognises by content. Only some can be served (runtime::RuntimeCatalog);
/// the others are named to the user.
enum class ModelFormat { onnx };
[[nodiscard]] AIPACK_API std::string_view to_string(ModelFormat format) noexcept;

/// One axis of a shape: a size, a symbol ("batch"), or unknown.
using Dimension = std::variant<std::monostate, std::int64_t, std::string>;

/// A graph input or output. `shape` is outermost first, in elements; empty `shape` with `has_shape`
/// is a scalar.
struct TensorInfo {
  std::string name;
  std::string element_type; ///< lower-case ONNX name: "float", "int64", "string"; or "sequence",
                            ///< "map", "optional"
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

/// One distinct way in which a model uses an operator: what a runtime needs a kernel for.
struct OperatorUse {
  std::string domain; ///< "" is ai.onnx
  std::string name;
  std::int64_t opset_version =
      0; ///< of the domain, as imported by the model or by the function that holds the node
  std::int64_t since_version =
      0; ///< the operator version that this opset means; 0: aipack knows no such operator
  /// Type variable of the operator's schema ("T") → type, where it can be derived without running
  /// shape inference: "float", "seq(float)". A variable that is missing may be anything.
  std::map<std::string, std::string> types{};
  /// Attributes that decide whether a kernel accepts the node, as text: "layout" of recurrent
  /// operators; "locale" of StringNormalizer where its settings need one.
  std::map<std::string, std::string> traits{};
  std::uint64_t count = 0; ///< nodes that use it so
  auto operator<=>(const OperatorUse&) const = default;
};

struct Opset {
  std::string domain;
  std::int64_t version = 0;
  auto operator<=>(const Opset&) const = default;
};

/// A file that the model is made of. The first is the model itself; the others hold external tensor
/// data.
struct ModelFile {
  std::string path; ///< relative to the model's folder, "/" separated, no "..": where it goes below
                    ///< /models/NAME in the image
  std::filesystem::path source;
  std::uint64_t size_bytes = 0;
  io::FileIdentity identity{};
};

enum class Severity { info, warning, error };
[[nodiscard]] AIPACK_API std::string_view to_string(Severity severity) noexcept;

/// Something noteworthy. Rules have stable names ("ONNX-EXT-PATH"); an error stops a build unless
/// it is waived.
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
  std::vector<Opset> opsets;               ///< sorted by domain
  std::vector<OperatorCount> operators;    ///< sorted; subgraphs and functions included, functions'
                                           ///< own nodes expanded once per definition
  std::vector<OperatorUse> operator_uses;  ///< sorted; calls of the model's own functions left out
  std::vector<std::string> custom_domains; ///< domains of operators that are neither standard nor
                                           ///< defined as functions in the model
  std::vector<TensorInfo> inputs;          ///< without initializers
  std::vector<TensorInfo> outputs;
  std::uint64_t node_count = 0;     ///< subgraphs and functions included
  std::uint64_t function_count = 0; ///< functions that the model defines itself
  std::uint64_t subgraph_count = 0; ///< bodies of If, Loop, Scan, …
  bool has_training_info = false;
  std::uint64_t initializer_count = 0; ///< sparse ones included
  std::uint64_t sparse_initializer_count = 0;
  std::uint64_t parameter_count =
      0; ///< elements of all initializers; of sparse ones the stored values
  std::uint64_t weight_bytes = 0;   ///< of all initializers, wherever they are stored
  std::uint64_t external_bytes = 0; ///< the part of `weight_bytes` that lies in external data files
  /// Resident bytes of the server when the model is loaded and runs one request: an upper bound
  /// with every symbolic dimension taken as 1. Intermediate values without a shape in the file are
  /// not in it; the finding ONNX-MEMORY says how many there are.
  std::uint64_t memory_bytes_estimate = 0;
  std::map<std::string, std::string> metadata; ///< metadata_props
  std::string license; ///< from metadata ("license"), empty when the model states none
  std::vector<Finding> findings;

  [[nodiscard]] AIPACK_API std::uint64_t size_bytes() const noexcept; ///< of all files
};

/// Reader limits; a model beyond them is refused with FormatError{corrupt} or Error{unsupported}.
struct Limits {
  std::uint64_t max_nodes = 10'000'000;
  std::uint64_t max_initializers = 1'000'000;
  std::uint64_t max_functions = 10'000;
  unsigned max_graph_depth = 64;
  unsigned max_function_depth = 100;                        ///< functions that call functions
  std::uint64_t max_string_bytes = std::uint64_t{16} << 20; ///< of one name or text
  std::uint64_t max_text_bytes = std::uint64_t{512}
                                 << 20; ///< of all names and texts that are kept while reading
  std::uint64_t max_dimensions = 64;
  std::uint64_t max_findings_per_rule = 20; ///< further ones are counted
};

/// What a reader reads. The caller owns `bytes`.
struct ModelSource {
  const io::RandomAccess& bytes;
  std::string name;                  ///< what errors call it
  std::filesystem::path directory{}; ///< where external data files live; empty: none are allowed
};

/// Reads one format by random access; never the weights. Stateless.
struct AIPACK_API ModelReader {
  virtual ~ModelReader() = default;
  /// `head`: the first bytes of the file, as many as there are up to `recognition_bytes`.
  [[nodiscard]] virtual bool recognises(std::span<const std::byte> head) const noexcept = 0;
  /// Everything but `Model::name` and the identity of the model file itself; `files` holds the
  /// external data files only.
  [[nodiscard]] virtual Model read(const ModelSource& source, const Limits& limits,
                                   const Operation& op) const = 0;
};
inline constexpr std::size_t recognition_bytes = std::size_t{64} << 10;

/// Reads a model file, or a folder with one model file and what belongs to it (external data). Cost
/// does not grow with the weights. Throws Error{not_found | invalid_input | unsupported},
/// FormatError{corrupt}. Findings with Severity::error are *returned*, so that `analyze` can show
/// them all; `require_acceptable` turns them into an exception.
[[nodiscard]] AIPACK_API Model inspect(const std::filesystem::path& path, const Operation& op,
                                       const Limits& limits = {});
/// The same for bytes that are not (or not yet) a file: no model file is listed, and the name is
/// empty.
[[nodiscard]] AIPACK_API Model inspect(const ModelSource& source, const Operation& op,
                                       const Limits& limits = {});
/// Throws Error{invalid_input} naming the first error finding (and how many more there are).
AIPACK_API void require_acceptable(const Model& model);

} // namespace aipack::model
