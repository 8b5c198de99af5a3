#pragma once

#include "aipack/core/export.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/deb/package_file.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/license/license.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/oci/platform.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::rootfs {

/// A package and its opened file.
struct Input {
  deb::Package package;
  deb::PackageFile file;
};

/// A file that is not from a package: the server, the user's own files.
struct ExtraFile {
  fs::RootPath path;
  fs::FileEntry entry;
};

struct Request {
  oci::Platform platform;
  std::vector<Input> packages; ///< in any order: the result does not depend on it
  std::vector<ExtraFile> extra{};
  std::vector<std::string> entrypoint; ///< first element: the program, root of the closure
  std::vector<std::string>
      dlopened{}; ///< paths or globs of libraries opened at run time: further roots
  std::vector<std::string> data{}; ///< paths or globs kept although no ELF file asks for them
  std::vector<std::string> whole_packages{}; ///< packages (names) the user asked for: every file
                                             ///< but documentation is kept
  std::vector<std::string>
      assumed{};                    ///< script-only dependencies that were left out, for the record
  std::string user = "65532:65532"; ///< numeric; a home is made for 65532
  std::vector<std::string>
      waived_scripts{};   ///< packages whose unknown maintainer scripts are ignored
  std::int64_t epoch = 0; ///< upper bound and default of mtimes, seconds
};

/// What happened to a maintainer script. Source: oci-rules 37.
struct ScriptVerdict {
  enum class Kind { no_op, emulated, unsupported };
  std::string package;
  std::string script; ///< "postinst"
  std::string digest; ///< sha256:… of its text
  Kind kind = Kind::no_op;
  std::string effect; ///< what is emulated, or why nothing happens
  bool operator==(const ScriptVerdict&) const = default;
};

/// Something that is not in the image, and why.
struct Dropped {
  std::string what; ///< "/usr/lib/x86_64-linux-gnu/libdnnl.so.3.6", or "package debconf"
  std::string package;
  std::uint64_t size_bytes = 0;
  std::string reason;
  bool operator==(const Dropped&) const = default;
};

/// A package of which files are in the root: what its index, its control file and its copyright
/// file say.
struct KeptPackage {
  std::string name;
  std::string version;
  std::string architecture;            ///< "amd64", "all"
  std::string source{};                ///< name of the source package
  std::string source_version{};        ///< its version
  std::string suite{};                 ///< "trixie-security"; empty: unknown
  std::string maintainer{};            ///< "Name <address>"
  std::string homepage{};              ///< URL, may be empty
  std::optional<oci::Digest> digest{}; ///< of the .deb; empty: unknown
  std::uint64_t size_bytes = 0;        ///< of the .deb; 0: unknown
  license::License license{};
  bool operator==(const KeptPackage&) const = default;
};

/// The composed root: every entry of `tree` has a Reason; `dropped` has every other file of every
/// package.
struct Composition {
  fs::FileTree tree;
  std::vector<Dropped> dropped; ///< sorted by path
  std::vector<ScriptVerdict> scripts;
  std::vector<KeptPackage> packages; ///< those that have a file in the tree, sorted by name
  std::vector<std::string>
      notes; ///< surprises worth telling: differing directory modes, setuid bits that were cleared
};

/// Builds a distroless root: merges packages under the usr-merge aliases, writes accounts, name
/// service, certificates, the loader cache and the package database, classifies maintainer scripts,
/// then keeps only the ELF closure of the roots and the data kept packages need. Throws
/// Error{unsupported} for a maintainer script that is neither known nor harmless,
/// Error{unsatisfiable} for a DT_NEEDED that nothing provides (object, chain, candidates),
/// Error{corrupt} for two packages that claim one path with different content, or a foreign machine
/// type.
[[nodiscard]] AIPACK_API Composition compose(const Request& request, const Operation& op);

/// What the control file of an installed package says, from `Package` to `Homepage`; the digest and
/// the suite stand in indexes only. Throws Error{corrupt} without name, version or architecture.
[[nodiscard]] AIPACK_API KeptPackage read_package(const deb::Paragraph& control);

/// The chain of reasons from the entrypoint (or a rule) to `path`, one line each, outermost first.
/// Throws Error{not_found}.
struct ChainLink {
  fs::RootPath path;
  fs::Reason reason;
  std::string package;
};
[[nodiscard]] AIPACK_API std::vector<ChainLink> why(const fs::FileTree& tree,
                                                    const fs::RootPath& path);

/// The record of a composition that travels in the image (RootPath record_path), from which `aipack
/// why` answers without rebuilding.
inline constexpr std::string_view record_path = "usr/share/aipack/composition.json";
inline constexpr std::uint64_t max_record_bytes = std::uint64_t{64} << 20;
[[nodiscard]] AIPACK_API std::string write_record(const Composition& composition);
struct Record {
  struct Entry {
    fs::RootPath path;
    std::string package;
    fs::Reason reason;
  };
  std::vector<Entry> kept;
  std::vector<Dropped> dropped;
  std::vector<ScriptVerdict> scripts;
  /// Empty: written by an aipack that did not record them.
  std::optional<std::vector<KeptPackage>> packages{};
};
/// Throws FormatError{corrupt}.
[[nodiscard]] AIPACK_API Record read_record(std::string_view json, std::string_view name);
/// The chain out of a record, as why() gives it.
[[nodiscard]] AIPACK_API std::vector<ChainLink> why(const Record& record, const fs::RootPath& path);

} // namespace aipack::rootfs
