#pragma once

#include "file_cache.hpp"

#include <span>
#include <vector>

namespace aipack::deb {

/// The Packages and Sources indexes that releases name, uncompressed in the cache.
class Indexes {
public:
  Indexes(FileCache& files, const ArchiveOptions& options) : files_(files), options_(options) {}

  /// The index at `path` of the source's release, not fetched. Throws Error{not_found} when the
  /// release does not name it.
  [[nodiscard]] IndexFile locate(const Source& source, const Release& release,
                                 const std::string& component, const std::string& architecture,
                                 std::string path) const;

  /// Brings all of them into the cache. `releases` are those of `sources`.
  void fetch(std::span<const IndexFile> indexes, const std::vector<Release>& releases,
             std::span<const Source> sources, const Operation& op);
  /// The first source must be whole; of the others an index that the mirror does not serve as its
  /// release names it is left out and recorded.
  void fetch_available(PackageIndex& result, std::span<const Source> sources, const Operation& op);

private:
  /// Why the mirror did not give an index when it was asked a moment ago, in `partial/`.
  [[nodiscard]] std::filesystem::path refusal_path(const IndexFile& index) const;
  [[nodiscard]] std::optional<std::string> recent_refusal(const IndexFile& index) const;
  void note_refusal(const IndexFile& index, const std::string& cause) const noexcept;
  void fetch_one(const IndexFile& index, const Release& release, const Operation& op);
  void fetch_in_any_form(const IndexFile& index, const Release& release, const Operation& op);
  void fetch_form(const IndexFile& index, const Release& release, const ReleaseFile& file,
                  const Operation& op);
  void unpack(const IndexFile& index, const std::filesystem::path& packed, const std::string& label,
              const Operation& op) const;

  FileCache& files_;
  const ArchiveOptions& options_;
};

} // namespace aipack::deb
