#include "ort_model.hpp"

#include "error.hpp"
#include "ort_value.hpp"
#include "text.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include <onnxruntime_session_options_config_keys.h>

namespace aipack::serve {
namespace {

/// Text that the runtime allocated, as a string of ours.
[[nodiscard]] std::string take_text(const OrtLibrary& ort, OrtAllocator& allocator, char* text) {
  const std::string copy = text != nullptr ? text : "";
  ort.check(ort.api().AllocatorFree(&allocator, text));
  return copy;
}

class OrtModel final : public Model {
public:
  OrtModel(const OrtLibrary& ort, const ModelFile& file) : ort_(ort) {
    const OrtApi& api = ort.api();
    const auto options =
        ort.make<OrtSessionOptions>(api.ReleaseSessionOptions, api.CreateSessionOptions);
    ort.check(api.DisablePerSessionThreads(options.get()));
    ort.check(api.SetSessionExecutionMode(options.get(), ORT_SEQUENTIAL));
    ort.check(api.SetSessionGraphOptimizationLevel(options.get(), ORT_ENABLE_ALL));
    ort.check(
        api.AddSessionConfigEntry(options.get(), kOrtSessionOptionsConfigLoadModelFormat, "ONNX"));
    session_ = ort.make<OrtSession>(api.ReleaseSession, api.CreateSession, &ort.environment(),
                                    file.path.c_str(), options.get());
    signature_.name = file.name;
    read_values();
    read_metadata();
  }

  [[nodiscard]] const ModelSignature& signature() const noexcept override { return signature_; }

  [[nodiscard]] std::vector<Tensor> run(std::span<const Tensor> inputs,
                                        std::span<const RequestedOutput> outputs) override {
    try {
      std::vector<OrtPtr<OrtValue>> values = run_session(inputs, outputs);
      std::vector<Tensor> tensors;
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        const ValueSpec& spec = signature_.outputs[find_value(signature_.outputs, outputs[i].name)];
        tensors.push_back(read_output(ort_, spec, std::move(values[i])));
      }
      return tensors;
    } catch (const OrtFailure& failure) {
      // The runtime calls values that a kernel cannot take an invalid argument: an index out of
      // bounds, shapes that do not match.
      const Status status =
          failure.code() == ORT_INVALID_ARGUMENT ? Status::bad_request : Status::internal;
      throw RequestError(status,
                         "cannot run model " + quote(signature_.name) + ": " + failure.what());
    }
  }

  void interrupt() noexcept override {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
    for (OrtRunOptions* options : running_) {
      if (OrtStatus* status = ort_.api().RunOptionsSetTerminate(options)) {
        ort_.api().ReleaseStatus(status);
      }
    }
  }

private:
  /// Lists a run among those that interrupt() reaches.
  class Listed {
  public:
    Listed(OrtModel& model, OrtRunOptions* options) : model_(model), options_(options) {
      const std::lock_guard lock(model_.mutex_);
      if (model_.interrupted_) {
        throw RequestError(Status::unavailable, "the server is stopping");
      }
      model_.running_.insert(options_);
    }
    ~Listed() {
      const std::lock_guard lock(model_.mutex_);
      model_.running_.erase(options_);
    }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;

  private:
    OrtModel& model_;
    OrtRunOptions* options_;
  };

  [[nodiscard]] std::vector<OrtPtr<OrtValue>>
  run_session(std::span<const Tensor> inputs, std::span<const RequestedOutput> outputs) {
    const OrtApi& api = ort_.api();
    std::vector<const char*> input_names;
    std::vector<OrtPtr<OrtValue>> input_values;
    std::vector<const OrtValue*> input_pointers;
    for (const Tensor& tensor : inputs) {
      input_names.push_back(tensor.name.c_str());
      input_values.push_back(make_value(ort_, tensor));
      input_pointers.push_back(input_values.back().get());
    }
    std::vector<const char*> output_names;
    for (const RequestedOutput& output : outputs) {
      output_names.push_back(output.name.c_str());
    }
    std::vector<OrtValue*> results(outputs.size(), nullptr);
    const auto options = ort_.make<OrtRunOptions>(api.ReleaseRunOptions, api.CreateRunOptions);
    OrtStatus* status = nullptr;
    {
      const Listed listed(*this, options.get());
      status = api.Run(session_.get(), options.get(), input_names.data(), input_pointers.data(),
                       inputs.size(), output_names.data(), outputs.size(), results.data());
    }
    std::vector<OrtPtr<OrtValue>> owned;
    for (OrtValue* value : results) {
      owned.emplace_back(value, api.ReleaseValue);
    }
    try {
      ort_.check(status);
    } catch (const OrtFailure&) {
      const std::lock_guard lock(mutex_);
      if (interrupted_) {
        throw RequestError(Status::unavailable,
                           "the server is stopping: the inference was given up");
      }
      throw;
    }
    return owned;
  }

  void read_values() {
    const OrtApi& api = ort_.api();
    read_list(signature_.inputs, api.SessionGetInputCount, api.SessionGetInputName,
              api.SessionGetInputTypeInfo, false);
    read_list(signature_.inputs, api.SessionGetOverridableInitializerCount,
              api.SessionGetOverridableInitializerName,
              api.SessionGetOverridableInitializerTypeInfo, true);
    read_list(signature_.outputs, api.SessionGetOutputCount, api.SessionGetOutputName,
              api.SessionGetOutputTypeInfo, false);
  }

  template <class Count, class Name, class Type>
  void read_list(std::vector<ValueSpec>& specs, Count count_of, Name name_of, Type type_of,
                 bool may_be_omitted) {
    OrtAllocator* allocator = nullptr;
    ort_.check(ort_.api().GetAllocatorWithDefaultOptions(&allocator));
    std::size_t count = 0;
    ort_.check(count_of(session_.get(), &count));
    for (std::size_t i = 0; i < count; ++i) {
      char* name = nullptr;
      ort_.check(name_of(session_.get(), i, allocator, &name));
      const auto type =
          ort_.make<OrtTypeInfo>(ort_.api().ReleaseTypeInfo, type_of, session_.get(), i);
      specs.push_back(read_value_spec(ort_, take_text(ort_, *allocator, name), *type));
      specs.back().may_be_omitted = may_be_omitted;
    }
  }

  void read_metadata() {
    const OrtApi& api = ort_.api();
    OrtAllocator* allocator = nullptr;
    ort_.check(api.GetAllocatorWithDefaultOptions(&allocator));
    const auto metadata = ort_.make<OrtModelMetadata>(api.ReleaseModelMetadata,
                                                      api.SessionGetModelMetadata, session_.get());
    char** keys = nullptr;
    std::int64_t count = 0;
    ort_.check(api.ModelMetadataGetCustomMetadataMapKeys(metadata.get(), allocator, &keys, &count));
    for (std::int64_t i = 0; i < count; ++i) {
      char* value = nullptr;
      ort_.check(
          api.ModelMetadataLookupCustomMetadataMap(metadata.get(), allocator, keys[i], &value));
      std::string text = take_text(ort_, *allocator, value);
      signature_.metadata[take_text(ort_, *allocator, keys[i])] = std::move(text);
    }
    if (keys != nullptr) {
      ort_.check(api.AllocatorFree(allocator, keys));
    }
    const auto add = [&](const char* key, auto function) {
      char* text = nullptr;
      ort_.check(function(metadata.get(), allocator, &text));
      if (std::string copy = take_text(ort_, *allocator, text); !copy.empty()) {
        signature_.metadata.emplace(key, std::move(copy));
      }
    };
    add("producer", api.ModelMetadataGetProducerName);
    add("graph_name", api.ModelMetadataGetGraphName);
    add("description", api.ModelMetadataGetDescription);
  }

  const OrtLibrary& ort_;
  OrtPtr<OrtSession> session_{nullptr, nullptr};
  ModelSignature signature_;
  std::mutex mutex_; ///< guards what follows
  std::set<OrtRunOptions*> running_;
  bool interrupted_ = false;
};

} // namespace

std::unique_ptr<Model> load_model(const OrtLibrary& ort, const ModelFile& file, Logger& log) {
  try {
    auto model = std::make_unique<OrtModel>(ort, file);
    for (const ValueSpec& spec : model->signature().inputs) {
      if (!spec.may_be_omitted && !is_carriable_input(spec)) {
        log.warning("the protocol cannot carry an input of this model: it cannot be run",
                    {{"model", file.name}, {"input", spec.name}, {"type", spec.type_text}});
      }
    }
    return model;
  } catch (const OrtFailure& failure) {
    throw StartupError(ExitCode::invalid_input,
                       "cannot load model " + quote(file.path) + ": " + failure.what(),
                       "check it with 'aipack analyze'; this is ONNX Runtime " + ort.version());
  }
}

} // namespace aipack::serve
