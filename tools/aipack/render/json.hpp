#pragma once

#include "aipack/build/engine.hpp"
#include "aipack/core/error.hpp"
#include "aipack/sign/model_signature.hpp"
#include "aipack/trust/verification.hpp"

#include <nlohmann/json.hpp>

namespace aipack::cli {

using Json = nlohmann::ordered_json;

// The records that `--json` prints. Keys are a contract (README, "JSON"): fields are only ever
// added.
[[nodiscard]] Json to_json(const Error& error);
[[nodiscard]] Json to_json(const model::Model& model,
                           const std::vector<build::RuntimeVerdict>& verdicts);
[[nodiscard]] Json to_json(const build::PlatformReport& report);
[[nodiscard]] Json to_json(const build::PlanReport& report);
[[nodiscard]] Json to_json(const build::BuildReport& report);
[[nodiscard]] Json to_json(const image::ImageSource& source, const std::string& reference);
[[nodiscard]] Json to_json(const std::vector<rootfs::ChainLink>& chain);
[[nodiscard]] Json to_json(const runtime::Runtime& runtime);
[[nodiscard]] Json to_json(const std::vector<build::CacheUsage>& usage);
/// The root's verdict at the top, each image's below `images`.
[[nodiscard]] Json to_json(const trust::VerifyReport& report, const std::string& reference);
[[nodiscard]] Json to_json(const build::RebuildReport& report);
[[nodiscard]] Json to_json(const sign::ModelVerdict& verdict, const std::string& model);

/// Prints one record as a line on stdout.
void print(const Json& record);

} // namespace aipack::cli
