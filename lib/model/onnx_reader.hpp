#pragma once

#include "aipack/model/model.hpp"

namespace aipack::model {

/// Reads ModelProto of onnx.proto (IR versions 1 to 13): two walks over each graph (declarations,
/// then nodes), each field header once, no tensor data. See lib/model/README.md.
class OnnxReader final : public ModelReader {
public:
  [[nodiscard]] bool recognises(std::span<const std::byte> head) const noexcept override;
  [[nodiscard]] Model read(const ModelSource& source, const Limits& limits,
                           const Operation& op) const override;
};

} // namespace aipack::model
