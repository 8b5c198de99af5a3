#pragma once

#include "aipack/deb/archive.hpp"
#include "aipack/solve/solve.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace aipack::solve {

inline constexpr int answer_version =
    1; ///< counts changes in what a request means and how an answer is stored

/// Answers of earlier requests: `answers/<key>.json`, where the key is the digest of the platform,
/// of the indexes (suite, component and content digest, in order), of the request and of the
/// versions that computed it. The first line holds the digest of the rest: a damaged answer is a
/// miss. URLs are kept below the mirror, so that another mirror of the same content hits.
class AnswerMemo {
public:
  /// `request` in canonical form. An empty `cache_dir`: nothing is kept.
  AnswerMemo(const std::filesystem::path& cache_dir, const deb::PackageIndex& index,
             const Request& request);

  [[nodiscard]] std::optional<Outcome> read() const;
  /// A memo that cannot be written costs time only.
  void write(const Outcome& outcome) const;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  const deb::PackageIndex& index_;
  std::string key_text_;
  std::filesystem::path path_;
};

} // namespace aipack::solve
