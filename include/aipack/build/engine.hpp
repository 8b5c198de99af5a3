#pragma once

#include "aipack/build/plan.hpp"
#include "aipack/build/rebuild.hpp"
#include "aipack/build/request.hpp"
#include "aipack/build/signing.hpp"
#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/image/image.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/model/model.hpp"
#include "aipack/registry/registry.hpp"
#include "aipack/rootfs/rootfs.hpp"
#include "aipack/runtime/runtime.hpp"
#include "aipack/transfer/copy.hpp"
#include "aipack/transfer/load.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::build {

struct EngineOptions {
  std::filesystem::path cache_dir; ///< created when needed
  std::vector<std::filesystem::path>
      data_dirs; ///< aipack's installed data ("share/aipack"): the first that has a file wins
  std::vector<std::filesystem::path>
      catalog_dirs{}; ///< the user's runtime entries, after the installed ones
  std::vector<std::filesystem::path> keyrings{}; ///< empty: the Debian archive keyring
  std::filesystem::path verdict_key{};           ///< deb::ArchiveOptions::verdict_key
  std::int64_t now = 0;                          ///< seconds since the epoch, for Valid-Until
  bool offline = false;
  unsigned concurrency = 0; ///< threads; 0: as many as the machine has
  /// How registries are spoken to; its state_dir defaults to a folder of the cache.
  registry::RegistryOptions registry{};
};

/// Where a build goes. It is composed once, whatever the number of places.
struct Outputs {
  std::vector<image::Location> destinations{};
  std::vector<transfer::ContainerEngine> engines{}; ///< the host's platform, or the only one
  std::string engine_tag{};                         ///< "NAME:TAG" in those engines; empty: none
  Signing signing{}; ///< beside the image in registries, layouts and OCI archives
  /// What signatures in layouts and archives call the image, "registry.example/digits:1"; those in
  /// a registry have its own name. Empty: the layout gets no signature at a tag.
  std::string signed_name{};
};

/// A layer as people see it.
struct LayerReport {
  image::Purpose purpose = image::Purpose::base;
  std::string title;
  std::optional<oci::Digest> diff_id{};
  std::optional<oci::Digest> digest{}; ///< empty in a plan: nothing was sealed
  std::string media_type{};
  std::uint64_t size_bytes = 0;         ///< as stored; 0 in a plan
  std::uint64_t uncompressed_bytes = 0; ///< of the tar; in a plan of the files
  std::uint64_t files = 0;
};

/// One platform of a plan or a build.
struct PlatformReport {
  oci::Platform platform;
  std::string runtime;                 ///< "onnxruntime 1.21"
  std::optional<oci::Digest> digest{}; ///< of the manifest
  std::vector<solve::Choice> packages; ///< those that keep a file in the image
  std::vector<rootfs::Dropped> dropped;
  std::vector<rootfs::ScriptVerdict> scripts;
  std::vector<std::string> notes;
  std::vector<LayerReport> layers;
  std::uint64_t image_bytes = 0;            ///< unpacked
  std::uint64_t image_bytes_compressed = 0; ///< as stored
};

struct PlanReport {
  Plan plan;
  std::vector<PlatformReport> platforms;
};

struct BuildReport {
  std::string reference; ///< where it went first: "oci:./digits.oci:latest"
  oci::Digest digest;    ///< of the index
  std::vector<PlatformReport> platforms;
  image::WriteReport written{};               ///< to layouts and archives
  std::vector<transfer::CopyReport> pushed{}; ///< one per registry
  std::vector<transfer::LoadReport> loaded{}; ///< one per engine
  trust::SigningReport attached{};            ///< beside the image, in all places together
  std::vector<std::string> notes{};           ///< what was not signed, and why
};

/// Why a runtime can or cannot serve a model.
struct RuntimeVerdict {
  std::string name;
  bool supported = false;
  std::string reason; ///< empty when it can
};

/// The façade that the command line, the Python module and other programs use: ten hops, each one
/// call below (lib/build/README.md). Threads: one Engine may be used from several threads; calls
/// block.
///
///     Engine engine{{.cache_dir = "cache", .data_dirs = {"/usr/share/aipack"}, .now =
///     std::time(nullptr)}}; auto plan = engine.plan({.models = {"digits.onnx"}, .platforms =
///     oci::Platform::all()}, {}); auto report = engine.build(plan,
///     image::Location::parse("oci:./digits.oci"), {});
class AIPACK_API Engine {
public:
  explicit Engine(EngineOptions options);
  ~Engine();
  Engine(Engine&&) noexcept;

  /// Hop 2: reads a model without its weights.
  [[nodiscard]] model::Model analyze(const std::filesystem::path& model, const Operation& op) const;
  /// Every runtime of the catalog against a model on one platform.
  [[nodiscard]] std::vector<RuntimeVerdict> verdicts(const model::Model& model,
                                                     const oci::Platform& platform) const;
  [[nodiscard]] const runtime::RuntimeCatalog& catalog() const;

  /// Hops 1 to 5: every decision, every input by digest. Throws Error{unsupported} (no runtime
  /// serves the model), Error{unsatisfiable}.
  [[nodiscard]] Plan plan(const BuildRequest& request, const Operation& op) const;
  /// The same from a lock file: uses nothing that the lock does not pin, and no network when the
  /// cache has the packages.
  [[nodiscard]] Plan plan_locked(const BuildRequest& request, std::string_view lock,
                                 std::string_view lock_name, const Operation& op) const;

  /// Hops 6 and 7 without sealing: what would be in the image, and what not, with reasons.
  [[nodiscard]] PlanReport describe(Plan plan, const Operation& op) const;

  /// Hops 6 to 9: fetches, composes and seals; blobs are in the cache (weights stay where they
  /// are). Throws Error{unsupported} for a plan on a base image, whose layers stay in its registry:
  /// build() sends those where they are wanted.
  [[nodiscard]] image::Index compose(const Plan& plan, const Operation& op,
                                     std::vector<PlatformReport>* reports = nullptr) const;
  /// Hops 6 to 10: to layouts, archives, registries and container engines. Whatever
  /// `outputs.signing` asks for is made, written, read back and verified before a tag stands for
  /// the image.
  BuildReport build(const Plan& plan, const Outputs& outputs, const Operation& op) const;
  BuildReport build(const Plan& plan, const image::Location& destination,
                    const Operation& op) const {
    return build(plan, Outputs{.destinations = {destination}}, op);
  }

  /// Composes an image again from its signed provenance and compares: the signature then proves the
  /// content, not only the publisher. Throws what verifying the provenance and building throw.
  [[nodiscard]] RebuildReport verify_rebuild(const image::Location& image,
                                             const RebuildRequest& request,
                                             const Operation& op) const;

  /// The registries of this engine: one set of connections and tokens.
  [[nodiscard]] registry::Registry& registries() const;

  /// The composition record of one platform's image; throws Error{not_found} for an image that
  /// aipack did not compose.
  [[nodiscard]] rootfs::Record composition(const image::Location& image,
                                           const oci::Platform& platform,
                                           const Operation& op) const;
  /// The chain of reasons of one path.
  [[nodiscard]] std::vector<rootfs::ChainLink> why(const image::Location& image,
                                                   const oci::Platform& platform,
                                                   const fs::RootPath& path,
                                                   const Operation& op) const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The image's name out of the request: the tag's repository, else the first model's name, made fit
/// for a reference.
[[nodiscard]] AIPACK_API std::string default_image_name(const std::vector<PlannedModel>& models);

/// Blobs, packages and answers that aipack keeps.
struct CacheUsage {
  std::string kind; ///< "packages", "indexes", "layers", …
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};
[[nodiscard]] AIPACK_API std::vector<CacheUsage>
cache_usage(const std::filesystem::path& cache_dir);
/// Removes everything that was not used for `older_than_seconds` before `now`; says what went.
AIPACK_API std::vector<CacheUsage> prune_cache(const std::filesystem::path& cache_dir,
                                               std::int64_t now, std::int64_t older_than_seconds,
                                               const Operation& op);

} // namespace aipack::build
