#pragma once

#include "aipack/sbom/sbom.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace aipack::sbom {

/// Keys stay in the order in which they were written.
using Json = nlohmann::ordered_json;

/// The bytes of a document: UTF-8, two spaces, a newline at the end. What is no UTF-8 (names are
/// bytes) becomes U+FFFD.
[[nodiscard]] std::string to_text(const Json& document);
/// The digest of a document that does not name itself yet: what its name is made of.
[[nodiscard]] oci::Digest content_digest(const Json& document);
/// A UUID of 122 bits of a digest, version 8 ("custom"). Source: RFC 9562, 5.8.
[[nodiscard]] std::string uuid_of(const oci::Digest& digest);

/// The time that documents must have when the image has none.
inline constexpr std::string_view no_time = "1970-01-01T00:00:00Z";

/// Identifiers within one document: words become what the format allows, and no two are the same.
class Identifiers {
public:
  /// "SPDXRef-" and letters, digits, '.', '-' of `words`; numbered where that is taken.
  [[nodiscard]] std::string make(std::string_view words);

private:
  std::set<std::string> taken_;
};

/// A package of several images: those of architecture "all" are the same on every platform.
struct SharedPackage {
  const Package* package;
  std::string purl;
};
/// Packages of all images, each once, in the order of the images; `of_image[i]` are those of image
/// i, as indexes.
struct SharedPackages {
  explicit SharedPackages(const Inventory& inventory);
  std::vector<SharedPackage> packages{};
  std::vector<std::vector<std::size_t>> of_image{};
};

/// "onnxruntime 1.21" in name and version.
struct Named {
  std::string name;
  std::string version;
};
[[nodiscard]] Named runtime_of(const ImageContent& image);

/// aipack's own licence, for its own program.
inline constexpr std::string_view own_license = "Apache-2.0";
inline constexpr std::string_view own_server = "aipack-serve";

/// A web address that both formats take: with a scheme, and none of the characters that no IRI has
/// (RFC 3987, 2.2).
[[nodiscard]] bool is_url(std::string_view text) noexcept;
/// The last part of a path.
[[nodiscard]] std::string file_name(const std::string& path);
/// "bytes 512 to 1023 of layer sha256:…": which bytes a file is, whoever hashed it.
[[nodiscard]] std::string place_of(const File& file);
/// "X: float[batch, 64]".
[[nodiscard]] std::string tensor_text(const model::TensorInfo& tensor);
/// The one file's SHA-256, when a model is one file.
[[nodiscard]] std::optional<oci::Digest> digest_of(const Model& model);
/// "com.microsoft", or "ai.onnx" for the empty domain.
[[nodiscard]] std::string domain_text(const std::string& domain);

} // namespace aipack::sbom
