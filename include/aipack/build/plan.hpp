#pragma once

#include "aipack/build/request.hpp"
#include "aipack/core/export.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/model/model.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/runtime/runtime.hpp"
#include "aipack/solve/solve.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::build {

/// A verified Release file that packages were chosen from.
struct PinnedRelease {
  std::string suite;
  std::string version; ///< "13.7", may be empty
  std::int64_t date = 0;
  oci::Digest digest; ///< of InRelease
  bool operator==(const PinnedRelease&) const = default;
};
/// A Packages index, by the digest that its Release states.
struct PinnedIndex {
  std::string suite;
  std::string path; ///< "main/binary-amd64/Packages"
  oci::Digest digest;
  std::uint64_t size_bytes = 0;
  bool operator==(const PinnedIndex&) const = default;
};

/// The image that is extended, by digest.
struct PinnedBase {
  std::string reference;    ///< as the request names it: "docker://nvcr.example/tritonserver:24.01"
  oci::Descriptor manifest; ///< of this platform's image
  bool operator==(const PinnedBase&) const = default;
};

/// What one platform's image is made from, every input by digest. `choices` hold URLs of the mirror
/// in force; the lock file keeps only their path on a mirror, so that it does not depend on who
/// resolved it.
struct ImagePlan {
  oci::Platform platform;
  runtime::Runtime runtime; ///< placeholders filled in
  std::vector<PinnedRelease> releases;
  std::vector<PinnedIndex> indexes;
  std::vector<solve::Choice> choices;
  std::vector<std::pair<std::string, std::string>> assumed; ///< package left out → who asked for it
  std::vector<std::string> requested{}; ///< relations asked for beside the runtime's, kept whole
  std::vector<std::string> skipped{};   ///< suites that were left out, and why
  std::optional<oci::Digest> server_digest{}; ///< of the server program that is added
  std::optional<PinnedBase> base{}; ///< then there are no packages, and the runtime is the base's
  bool operator==(const ImagePlan&) const = default;
};

/// A model of the plan with the digests of its small files (those beyond max_digested_bytes are
/// pinned by size here and by their layer's digest in the image).
struct PlannedModel {
  std::string name; ///< served under this name
  std::vector<model::ModelFile> files;
  std::vector<std::optional<oci::Digest>> digests; ///< one per file
  bool plain = false; ///< aipack did not read it: its files keep their names
  std::string license{};
  std::string description{};
  std::string producer{};
  std::vector<model::Finding> findings{}; ///< that do not stop a build, or were allowed
};
inline constexpr std::uint64_t max_digested_bytes = std::uint64_t{64} << 20;

/// One of the user's files, folders and links, as it goes into the image.
struct PlannedFile {
  fs::RootPath path; ///< as it was asked for: links in the image may lead it elsewhere
  fs::FileType type = fs::FileType::regular; ///< never a hard link
  std::uint32_t mode = 0;                    ///< of a regular file
  std::string link_target{};                 ///< of a link
  std::optional<oci::Digest> digest{};       ///< of a regular file
  bool operator==(const PlannedFile&) const = default;
};
/// What one FileMapping brings, parents first. What a later mapping replaces is not among it.
struct PlannedFiles {
  fs::RootPath target;
  std::vector<PlannedFile> entries;
  bool operator==(const PlannedFiles&) const = default;
};

/// The whole decision: its JSON is the lock file.
struct Plan {
  BuildRequest request;
  std::vector<PlannedModel> models;
  std::vector<ImagePlan> images; ///< in platform order
  bool locked = false;           ///< came from a lock file: nothing else may be used
  /// The user's files, for provenance; filled in only when the build is to be signed.
  std::vector<PlannedFiles> files{};
};

inline constexpr std::uint64_t max_lock_bytes = std::uint64_t{64} << 20;
inline constexpr int lock_version = 1;

/// The lock file: pretty-printed JSON, stable order, no time and no machine of its own.
[[nodiscard]] AIPACK_API std::string write_lock(const Plan& plan);
/// Reads a lock back. URLs are rebuilt on `mirrors`. The models of the request (not in the lock:
/// they are the user's files) are compared with the pinned sizes and digests by Engine::plan.
/// Throws FormatError{corrupt} or Error{unsupported} for another lock version.
struct Lock {
  struct File {
    std::string path;
    std::uint64_t size_bytes = 0;
    std::optional<oci::Digest> digest;
  };
  struct Model {
    std::string name;
    std::vector<File> files;
  };
  std::vector<Model> models;
  std::vector<ImagePlan> images;
};
[[nodiscard]] AIPACK_API Lock read_lock(std::string_view json, std::string_view name,
                                        const deb::Mirrors& mirrors);

} // namespace aipack::build
