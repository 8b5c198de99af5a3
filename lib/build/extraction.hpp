#pragma once

#include "aipack/build/plan.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/image/reader.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace aipack::build {

/// An input that the image does not hold as its provenance has it.
struct WrongInput {
  std::string what;                 ///< "file '/opt/own/run'", "model file '/models/digits.onnx'"
  std::string fault;                ///< "is missing"
  std::optional<std::size_t> layer; ///< of the image: which has it; empty: none
};

/// Takes models and the user's files out of an image, as they were before they went into it. What
/// is written, and where, is said by the provenance alone; the image gives contents, and each is
/// compared with what the provenance says of it. First all that is wanted, then take(), once.
class Extraction {
public:
  /// `directory` is empty, and nobody else's. Lists the image's files: reads its compressed layers.
  Extraction(const image::StoredImage& image, std::filesystem::path directory, const Operation& op);

  /// The path that the planner will read as the locked model. A file without a digest of its own is
  /// taken as it is: whoever composes compares the layers with those that the provenance names.
  std::filesystem::path want_model(const Lock::Model& model, const std::string& models_directory,
                                   bool plain);
  /// Where the file or folder will be.
  std::filesystem::path want_files(const PlannedFiles& files);

  /// Writes everything, in one pass over the layers, and says what is not as it should be.
  [[nodiscard]] std::vector<WrongInput> take();

private:
  struct Wanted {
    std::string what;
    std::filesystem::path place;
    std::optional<oci::Digest> digest; ///< empty: the digest of its layer is compared
    std::uint32_t mode;
  };
  /// The file that is at `path`, or where links of the image lead; null: none.
  [[nodiscard]] const image::StoredFile* find(const fs::RootPath& path) const;
  void want(Wanted wanted, const fs::RootPath& path, std::optional<std::uint64_t> size_bytes);
  void want_link(const PlannedFile& link, const std::filesystem::path& place);
  void write(const std::vector<std::size_t>& which, io::ByteSource& content);
  void fail(std::string what, std::string fault, const image::StoredFile* file);

  const image::StoredImage& image_;
  std::filesystem::path directory_;
  const Operation& op_;
  std::map<fs::RootPath, image::StoredFile> files_;
  fs::FileTree tree_; ///< for following links
  std::size_t inputs_ = 0;
  std::vector<Wanted> wanted_;
  std::vector<image::StoredFile> sources_; ///< of wanted_, one each
  std::vector<std::pair<std::filesystem::path, std::string>> links_;
  std::vector<WrongInput> wrong_;
};

} // namespace aipack::build
