#pragma once

#include "aipack/codec/sha256.hpp"
#include "aipack/core/export.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/oci/descriptor.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace aipack::blob {

/// Content of a known digest that can be opened again and again. Bytes that come out are the bytes
/// of the descriptor, or an exception.
struct AIPACK_API BlobSource {
  virtual ~BlobSource() = default;
  [[nodiscard]] virtual const oci::Descriptor& descriptor() const noexcept = 0;
  [[nodiscard]] virtual std::unique_ptr<io::ByteSource> open(std::uint64_t offset = 0) const = 0;
};
using BlobPtr = std::shared_ptr<const BlobSource>;

/// Content-addressed storage.
struct AIPACK_API BlobStore {
  virtual ~BlobStore() = default;
  [[nodiscard]] virtual bool contains(const oci::Descriptor& descriptor) const = 0;
  /// The blob, or null. Opening it verifies size (and digest, when read to the end from offset 0).
  [[nodiscard]] virtual BlobPtr find(const oci::Descriptor& descriptor) const = 0;
  /// Stores what must have `expected`'s digest and size; throws Error{corrupt} otherwise and stores
  /// nothing.
  virtual BlobPtr put(const oci::Descriptor& expected, io::ByteSource& source,
                      const Operation& op) = 0;
  /// Stores whatever comes and says what it was.
  virtual BlobPtr ingest(std::string_view media_type, io::ByteSource& source,
                         const Operation& op) = 0;
};

/// A blob in memory: manifests, configs. Throws Error{corrupt} when the bytes are not the
/// descriptor's.
[[nodiscard]] AIPACK_API BlobPtr memory_blob(oci::Descriptor descriptor, std::string bytes);

/// Bytes that are derived from files instead of stored: literals (tar headers, padding) and extents
/// of files, in order. A weights layer is one: its payload is the model file itself. The identity
/// of each file is checked when reading of it begins and again when it ends, so that a file that
/// changed is Error{io}; files are read, not mapped: one that shrinks must not kill the process
/// with SIGBUS.
class AIPACK_API Recipe {
public:
  using Part = std::variant<std::string, fs::FileExtent>;
  void add(std::string literal);
  void add(fs::FileExtent extent);
  [[nodiscard]] const std::vector<Part>& parts() const noexcept { return parts_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset = 0) const;

private:
  std::vector<Part> parts_;
  std::uint64_t size_ = 0;
};

/// A blob made by a recipe; opening it checks that no file changed since the recipe was hashed.
class AIPACK_API DerivedBlob final : public BlobSource {
public:
  DerivedBlob(oci::Descriptor descriptor, Recipe recipe)
      : descriptor_(std::move(descriptor)), recipe_(std::move(recipe)) {}
  [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override { return descriptor_; }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset = 0) const override;
  [[nodiscard]] const Recipe& recipe() const noexcept { return recipe_; }

private:
  oci::Descriptor descriptor_;
  Recipe recipe_;
};

/// How a blob reached a directory.
enum class Placement { present, linked, cloned, copied };

/// Where blobs are brought by the cheapest way: a directory, a registry.
struct AIPACK_API BlobPlacer {
  virtual ~BlobPlacer() = default;
  /// A blob whose digest is known. Its bytes are read only when the place needs them.
  virtual Placement place(const BlobSource& blob, const Operation& op) = 0;
  /// What a recipe makes: sent on and hashed in the same pass, one read of each byte.
  virtual std::shared_ptr<const DerivedBlob>
  place_hashing(std::string_view media_type, const Recipe& recipe, const Operation& op) = 0;
};

/// Blobs as files `<root>/sha256/<hex>`: the `blobs/` of an OCI layout, and aipack's own cache. A
/// blob appears whole or not at all, and is never replaced. A blob of the right size counts as
/// present; its bytes are verified whenever it is read. Threads and processes: any number may write
/// the same or different blobs side by side.
class AIPACK_API DirectoryStore final : public BlobStore, public BlobPlacer {
public:
  /// Creates `root` when it is missing.
  explicit DirectoryStore(std::filesystem::path root,
                          io::Durability durability = io::Durability::cached);
  [[nodiscard]] bool contains(const oci::Descriptor& descriptor) const override;
  [[nodiscard]] BlobPtr find(const oci::Descriptor& descriptor) const override;
  BlobPtr put(const oci::Descriptor& expected, io::ByteSource& source,
              const Operation& op) override;
  BlobPtr ingest(std::string_view media_type, io::ByteSource& source, const Operation& op) override;

  /// Brings a blob in by the cheapest way that the file systems allow: it is there already; a
  /// reflink of the stored file or of the recipe's aligned extents (FICLONERANGE); else one copy,
  /// past the page cache (O_DIRECT) for a large one. A stored blob is hashed either way. A derived
  /// blob's digest was computed from the same unchanged files, so it is not hashed a second time:
  /// the identity of each file is checked before and after. Memory: at most 32 MiB of buffers.
  /// Large blobs are read and written by two helper threads, which end before the call does.
  Placement place(const BlobSource& blob, const Operation& op) override;

  /// Streams a recipe into the store and hashes it in the same pass (one read of each byte, at most
  /// one write, none with reflinks): the time of the SHA-256 alone where the disk keeps up.
  std::shared_ptr<const DerivedBlob>
  place_hashing(std::string_view media_type, const Recipe& recipe, const Operation& op) override;

  /// Takes over `file`, which is on the store's file system and whose bytes the caller has verified
  /// to be those of `verified`. It is renamed, or removed where the blob is there already.
  void adopt(const oci::Descriptor& verified, const std::filesystem::path& file);

  [[nodiscard]] std::filesystem::path path_of(const oci::Digest& digest) const;
  [[nodiscard]] const std::filesystem::path& root() const noexcept { return root_; }

private:
  /// An empty file beside the blobs; commit() gives it its name.
  [[nodiscard]] std::unique_ptr<io::TempFile> new_file() const;
  void commit(io::TempFile& file, const oci::Digest& digest) const;
  [[nodiscard]] BlobPtr stored(oci::Descriptor descriptor) const;

  std::filesystem::path root_;
  io::Durability durability_;
};

/// Remembers digests of files by identity, so that unchanged weights are not read again. An entry
/// is taken only when the file's ctime is older than the moment its hashing began by more than the
/// clock's grain (git's racy-clean rule): any later change then shows in the identity. Kept in one
/// file, replaced atomically; a broken cache file is an empty cache. Threads and processes: safe,
/// savers merge. Not for network and FUSE file systems, whose times come from other clocks.
class AIPACK_API DigestCache {
public:
  explicit DigestCache(std::filesystem::path file);
  ~DigestCache();
  DigestCache(const DigestCache&) = delete;
  DigestCache& operator=(const DigestCache&) = delete;
  /// `key` says what was hashed of the file (for example "tar:1:models/m.onnx"), since a layer's
  /// digest covers headers too.
  [[nodiscard]] std::optional<oci::Descriptor> find(const io::FileIdentity& identity,
                                                    std::string_view key) const;
  /// `hashing_began_ns`: CLOCK_REALTIME before the first byte was read. Replaces what was known of
  /// earlier states of the same file.
  void put(const io::FileIdentity& identity, std::string_view key,
           const oci::Descriptor& descriptor, std::int64_t hashing_began_ns);
  /// Whether any change of the file after `moment_ns` (CLOCK_REALTIME) shows in its identity: not
  /// when it changed within one tick of the clock before, or in the future.
  [[nodiscard]] static bool is_settled(const io::FileIdentity& identity,
                                       std::int64_t moment_ns) noexcept;
  /// Writes what is new; failing to write is not an error.
  void save() const noexcept;

  static constexpr std::size_t max_entries = 65536; ///< the oldest go first
  static constexpr std::int64_t clock_grain_ns =
      10'000'000; ///< of local file systems; kernels tick at 250 Hz or faster
  /// Of file systems that store whole seconds (FAT two of them): assumed when a ctime has no
  /// fraction.
  static constexpr std::int64_t coarse_clock_grain_ns = 2'000'000'000;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// SHA-256 of a whole file: remembered, when this very state of it was hashed before, else computed
/// and remembered. Throws Error{io} when the file changes meanwhile.
[[nodiscard]] AIPACK_API oci::Digest file_digest(const std::filesystem::path& file,
                                                 DigestCache& cache, const Operation& op);

} // namespace aipack::blob
