#pragma once

#include "infer_request.hpp"
#include "signature.hpp"
#include "tensor.hpp"

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace aipack::serve {

/// A loaded model. *Threads*: run() may be called from many at once.
class Model {
public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  [[nodiscard]] virtual const ModelSignature& signature() const noexcept = 0;
  /// The wanted outputs, in their order. Throws RequestError: 400 when the values do not suit the
  /// model or an output cannot be carried, 503 after interrupt(), 500 for whatever else the runtime
  /// reports.
  [[nodiscard]] virtual std::vector<Tensor> run(std::span<const Tensor> inputs,
                                                std::span<const RequestedOutput> outputs) = 0;
  /// Makes every run() that is under way give up soon.
  virtual void interrupt() noexcept = 0;
};

/// The models of this process by name, complete before anyone sees it.
using Repository = std::map<std::string, std::unique_ptr<Model>, std::less<>>;

/// A model file that was found, before it is loaded.
struct ModelFile {
  std::string name;
  std::string path;
};

/// The *.onnx files in `folder` and one level below, sorted by name, hidden ones left out; or the
/// one file that `models` is. `model_name` replaces the stem when it is not empty, which needs
/// exactly one file. Throws StartupError: nothing there (not_found), two files of one name, a name
/// for several files (invalid_input).
[[nodiscard]] std::vector<ModelFile> find_models(const std::string& models,
                                                 const std::string& model_name);

} // namespace aipack::serve
