#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/core/export.hpp"
#include "aipack/deb/control.hpp"
#include "aipack/http/http.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/oci/platform.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::deb {

inline constexpr std::uint64_t max_release_bytes = std::uint64_t{16} << 20;
inline constexpr std::uint64_t max_index_bytes = std::uint64_t{512} << 20;
inline constexpr std::uint64_t max_package_bytes = std::uint64_t{4} << 30;

/// Where a suite comes from: a line of sources.list without the package type.
struct Source {
  std::string mirror; ///< "http://ftp.debian.org/debian"
  std::string suite;  ///< "trixie", "trixie-updates", "trixie-security"
  std::vector<std::string> components{"main"};
  bool operator==(const Source&) const = default;
};

/// Mirrors to use for Debian's own archive and its security archive.
struct Mirrors {
  std::string archive;
  std::string security;
  std::string origin; ///< for people: "--mirror", "AIPACK_MIRROR", "apt configuration", "default"
  bool operator==(const Mirrors&) const = default;
};
inline constexpr std::string_view default_mirror = "http://ftp.debian.org/debian";
inline constexpr std::string_view default_security_mirror =
    "http://security.debian.org/debian-security";
/// From the host's apt configuration (sources.list and sources.list.d below `etc_apt`, one-line and
/// deb822 forms, only `deb` entries of Debian's own archives: host path ends in "/debian" or
/// "/debian-security"); empty where it names none. Unreadable files are skipped.
[[nodiscard]] AIPACK_API Mirrors
host_apt_mirrors(const std::filesystem::path& etc_apt = "/etc/apt");
/// "http://host/debian" → archive and the sibling "http://host/debian-security"; "A,B" names both.
/// Absolute paths are mirrors on disk. Throws Error{invalid_input}.
[[nodiscard]] AIPACK_API Mirrors parse_mirrors(std::string_view text, std::string origin);
/// The mirrors in force: `text`, when it is not empty, else the host's apt configuration, and
/// Debian's own where that names none.
[[nodiscard]] AIPACK_API Mirrors choose_mirrors(std::string_view text, std::string origin,
                                                const std::filesystem::path& etc_apt = "/etc/apt");

/// The suites that make `suite` whole: the suite, "-updates" and "-security" for a stable release;
/// the suite alone for sid, testing
/// ("forky") and names with a hyphen ("trixie-backports"). Throws Error{invalid_input} for what is
/// no suite's name.
[[nodiscard]] AIPACK_API std::vector<Source> sources_for(std::string_view suite,
                                                         const Mirrors& mirrors);

struct ReleaseFile {
  std::string path; ///< "main/binary-amd64/Packages.xz"
  oci::Digest digest;
  std::uint64_t size_bytes = 0;
};

/// A verified Release file.
struct Release {
  std::string suite; ///< as asked for
  std::string codename;
  std::string version; ///< "13.7", may be empty
  std::string label;
  std::int64_t date = 0; ///< seconds since the epoch
  std::optional<std::int64_t> valid_until{};
  bool acquire_by_hash = false;
  std::vector<std::string> architectures{};
  std::vector<ReleaseFile> files{}; ///< the SHA256 list, sorted by path
  oci::Digest digest;               ///< of the InRelease file as served
  /// Fingerprints of the keys whose signatures were found good: one is enough, and when it is there
  /// no other is looked for.
  std::vector<std::string> signed_by{};
  [[nodiscard]] AIPACK_API const ReleaseFile* find(std::string_view path) const noexcept;
};

struct VerifyOptions {
  /// Keyring files, OpenPGP binary or armoured. Empty: the first of debian-archive-keyring.pgp and
  /// .gpg in /usr/share/keyrings (the package debian-archive-keyring), then
  /// debian-archive-keyring.gpg in /usr/local/share/aipack and /usr/share/aipack.
  std::vector<std::filesystem::path> keyrings{};
  std::int64_t now =
      0; ///< seconds since the epoch, for Valid-Until, expired keys and dates in the future
  bool ignore_valid_until = false; ///< waives Valid-Until, dates in the future, and the refusal of
                                   ///< a release older than one seen before
};
/// Verifies the clear signature of an InRelease file with librnp (at least one good signature by a
/// key of the keyring, no weak hash; only the signed text is parsed) and reads it. Throws
/// Error{corrupt} for a bad or missing signature, Error{unavailable} once it is expired.
[[nodiscard]] AIPACK_API Release verify_release(std::string_view in_release, std::string_view suite,
                                                const VerifyOptions& options);

/// One verified Packages index on disk, uncompressed, in aipack's cache.
struct IndexFile {
  Source source;
  std::string component;    ///< "main"
  std::string architecture; ///< "amd64" (Debian's indexes of an architecture include "all")
  std::string release_path; ///< "main/binary-amd64/Packages"
  oci::Digest digest;       ///< of the uncompressed file, from the Release
  std::uint64_t size_bytes = 0;
  std::filesystem::path file; ///< content of that digest
};

/// Everything that a solution is computed from: verified releases and indexes of one platform.
/// Equal `fingerprint`s: the same indexes from the same mirrors for the same platform (a release
/// that was only signed anew changes nothing).
struct PackageIndex {
  oci::Platform platform;
  std::vector<Release> releases;
  std::vector<IndexFile> indexes;
  /// Indexes that were left out, and why (ArchiveOptions::skip_incomplete_suites).
  std::vector<std::string> skipped{};
  [[nodiscard]] AIPACK_API oci::Digest fingerprint() const;
};

/// One binary package, pinned.
struct Package {
  std::string name;
  std::string version;
  std::string architecture; ///< "amd64", "all"
  std::string source_suite; ///< "trixie-security"
  std::string url;          ///< of the .deb
  oci::Digest digest;       ///< of the .deb
  std::uint64_t size_bytes = 0;
  std::uint64_t installed_bytes = 0;
  std::string section{};
  bool operator==(const Package&) const = default;
  [[nodiscard]] std::string label() const { return name + " " + version; }
};

struct ArchiveOptions {
  std::filesystem::path cache_dir;
  VerifyOptions verify{};
  bool offline = false;     ///< nothing but the cache; what is missing is Error{unavailable}
  unsigned concurrency = 8; ///< downloads at once
  /// A mirror in the middle of an update may not serve an index that its signed release names. For
  /// every source but the first, go on without that index and record it; otherwise it is an error.
  bool skip_incomplete_suites = false;
  /// What a mirror said less than this ago (by VerifyOptions::now) is not asked for again, not even
  /// by another process: that an InRelease is its newest, and that it lacks an index that was left
  /// out. Zero: every snapshot asks.
  std::chrono::seconds ask_again_after{0};
  /// A secret of the user's outside of the cache, made when it is missing: an InRelease that was
  /// judged good is remembered in the cache for a day, sealed with it. Empty: every snapshot
  /// judges.
  std::filesystem::path verdict_key{};
  http::RetryPolicy retry{};
};

/// Signed Debian archives: indexes and packages, verified, cached by digest.
struct AIPACK_API PackageSource {
  virtual ~PackageSource() = default;
  /// The newest verified state of the sources for one platform: an index per source and component,
  /// in their order. InRelease is revalidated (If-None-Match, If-Modified-Since or a full read; see
  /// ArchiveOptions::ask_again_after), indexes are fetched by hash only when their digest is not in
  /// the cache. Calls for other platforms within a minute see the same releases. Throws
  /// Error{corrupt} for what is not as signed, or older than what was seen before; not_found for a
  /// suite or architecture that the mirror lacks; unavailable for an expired release and for
  /// network trouble.
  [[nodiscard]] virtual PackageIndex
  snapshot(std::span<const Source> sources, const oci::Platform& platform, const Operation& op) = 0;
  /// The verified .deb file in the cache, downloaded when it is missing; several calls at once are
  /// fine.
  [[nodiscard]] virtual std::filesystem::path fetch(const Package& package,
                                                    const Operation& op) = 0;
  /// A verified file named by the Sources index: the upstream tarball of a source package (used to
  /// build against headers), of its newest version. `file_suffix` may name several, in order of
  /// preference: ".orig.tar.xz|.orig.tar.gz". Throws Error{not_found}.
  [[nodiscard]] virtual std::filesystem::path fetch_source_file(std::span<const Source> sources,
                                                                std::string_view source_package,
                                                                std::string_view file_suffix,
                                                                const Operation& op) = 0;
};
[[nodiscard]] AIPACK_API std::unique_ptr<PackageSource>
make_package_source(http::HttpTransport& transport, ArchiveOptions options);

} // namespace aipack::deb
