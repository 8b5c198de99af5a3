#pragma once

#include "model.hpp"
#include "signature.hpp"

#include <string>
#include <string_view>

namespace aipack::serve {

/// Name under which the server presents itself.
inline constexpr std::string_view server_name = "aipack-serve";

/// What the server says about itself and the library that it opened.
struct ServerFacts {
  std::string version;
  std::string runtime_version;
  std::string runtime_path;
};

// The JSON documents of the protocol, other than inference itself. Text from model files may hold
// any bytes: what is not UTF-8 becomes U+FFFD.
[[nodiscard]] std::string server_document(const ServerFacts& facts);
[[nodiscard]] std::string model_document(const ModelSignature& signature);
[[nodiscard]] std::string models_document(const Repository& repository);
[[nodiscard]] std::string index_document(const Repository& repository);
[[nodiscard]] std::string error_document(std::string_view message);
/// What --check prints: the server's and every model's document.
[[nodiscard]] std::string check_document(const ServerFacts& facts, const Repository& repository);

} // namespace aipack::serve
