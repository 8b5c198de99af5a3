#pragma once

#include "aipack/codec/compression.hpp"
#include "aipack/core/export.hpp"
#include "aipack/fs/root_path.hpp"
#include "aipack/oci/platform.hpp"
#include "aipack/sign/key.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::build {

/// One of the user's own files or folders, copied into the image (`--file SRC:DST`).
struct FileMapping {
  std::filesystem::path source;
  fs::RootPath target;
  bool operator==(const FileMapping&) const = default;
  /// "SRC:DST"; throws Error{invalid_input}.
  [[nodiscard]] static AIPACK_API FileMapping parse(std::string_view text);
};

/// Everything a build is decided from. Values come from flags, environment, `aipack.yaml` and
/// defaults, merged at the edge (Settings); the library itself reads neither environment nor clock.
struct BuildRequest {
  std::vector<std::filesystem::path> models; ///< files or folders, at least one
  std::string model_name{}; ///< serve the only model under this name; empty: its file stem
  std::vector<oci::Platform> platforms{}; ///< empty: the host's
  bool every_platform = false; ///< all that can be built: aipack's own, or all of the base image
  /// An image to extend instead of composing one, in the syntax of image::Location: its layers and
  /// config are kept, models and files are added.
  std::string base{};
  /// One of these must have signed the base image; empty: nobody is asked for.
  std::vector<sign::PublicKey> base_keys{};
  std::string runtime{}; ///< empty: the first of the catalog that can serve the models
  std::string suite{};   ///< empty: the runtime's
  std::string mirror{};  ///< "URL" or "URL,SECURITY_URL"; empty: the host's apt configuration, else
                         ///< Debian's default
  std::string mirror_origin{};         ///< for messages: where `mirror` was set
  std::vector<std::string> packages{}; ///< further Debian packages, kept whole
  std::vector<FileMapping> files{};
  std::vector<std::string> entrypoint{}; ///< replaces the runtime's
  std::vector<std::string> env{};        ///< "NAME=value", after the runtime's
  std::map<std::string, std::string> labels{};
  std::map<std::string, std::string> annotations{}; ///< of the manifests and the index
  /// Numeric, "UID:GID"; empty: the unprivileged 65532:65532, or the base image's own.
  std::string user{};
  codec::Compression compression{};
  /// Of the models' layers. Plain ones are not copied, and share extents with the model's files;
  /// compressed ones are for tools that read no plain layers.
  codec::Compression model_compression{.codec = codec::Codec::none};
  std::optional<std::int64_t>
      source_date_epoch{}; ///< seconds; empty: the newest file of the packages
  bool ignore_valid_until = false;
  bool skip_incomplete_suites = false; ///< go on without an updates or security index that the
                                       ///< mirror does not serve as signed
  std::vector<std::string> allowed_findings{}; ///< rule ids that do not stop the build
  std::vector<std::string>
      waived_scripts{}; ///< packages whose unknown maintainer scripts are ignored
  bool operator==(const BuildRequest&) const = default;
};

/// Who a composed image runs as.
inline constexpr std::string_view default_user = "65532:65532";

/// Limits.
inline constexpr std::size_t max_models = 64;
inline constexpr std::uint64_t max_user_files = 100'000;

} // namespace aipack::build
