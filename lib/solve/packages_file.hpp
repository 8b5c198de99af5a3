#pragma once

#include "solv.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::solve {

inline constexpr std::size_t max_packages = std::size_t{1}
                                            << 20; ///< in one index; Debian's largest has 69,000
inline constexpr std::size_t max_paragraph_bytes = std::size_t{1}
                                                   << 20; ///< the archive's longest has 33 KB

/// The fields of one paragraph of a Packages index that aipack reads; views into the index,
/// continuation lines included as written. Source: Debian Policy 5.1; deb822(5); the Debian
/// repository format, "Packages Indices".
struct PackageFields {
  std::string_view package;
  std::string_view version;
  std::string_view architecture;
  std::string_view multi_arch;
  std::string_view pre_depends;
  std::string_view depends;
  std::string_view provides;
  std::string_view conflicts;
  std::string_view breaks;
  std::string_view essential;
  std::string_view priority;
  std::string_view section;
  std::string_view installed_size;
  std::string_view filename;
  std::string_view size;
  std::string_view sha256;
};

/// Reads the paragraphs of an index one after the other.
class PackagesReader {
public:
  /// `name` is what errors call the index.
  PackagesReader(std::string_view text, std::string name, std::size_t offset = 0)
      : text_(text), name_(std::move(name)), at_(offset) {}
  /// False at the end. Throws FormatError{corrupt} with the byte offset.
  bool next(PackageFields& fields);
  /// Where the paragraph last read begins.
  [[nodiscard]] std::size_t offset() const noexcept { return start_; }

private:
  [[noreturn]] void fail(std::size_t offset, std::string_view cause) const;
  std::string_view text_;
  std::string name_;
  std::size_t at_;
  std::size_t start_ = 0;
};

/// One index in a pool: which packages, and where in the file the paragraph of each begins.
struct ParsedIndex {
  solv::Range packages;
  std::vector<std::uint32_t> offsets;
};

/// Adds every package of an index. `architecture` is Debian's name of the pool's. Throws
/// FormatError{corrupt}.
[[nodiscard]] ParsedIndex parse_packages(std::string_view text, const std::string& name,
                                         std::string_view architecture, solv::Pool& pool);

} // namespace aipack::solve
