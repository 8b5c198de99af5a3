#pragma once

#include "aipack/model/model.hpp"

#include "findings.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::model {

/// StringStringEntryProto list of a tensor whose data_location is EXTERNAL.
using ExternalEntries = std::vector<std::pair<std::string, std::string>>;

/// Why `location` must not be followed; empty: it names a file beneath the model's folder. Judged
/// by its text alone. Source: "External Data Files" of the ONNX documentation, and the rules of
/// ONNX-EXT-PATH.
[[nodiscard]] std::optional<std::string> refuse_location(std::string_view location);
/// The location without "." parts and doubled slashes: the file's path below the model's folder.
[[nodiscard]] std::string normal_location(std::string_view location);

/// The files beside a model that hold its tensors. ONNX Runtime follows whatever the model says
/// (reference: CVE-2024-27318, CVE-2025-51480, and the in-memory marker, whose "offset" it takes
/// for an address), so this is where it is stopped. Nothing is read from the files.
class ExternalData {
public:
  ExternalData(std::filesystem::path directory, Findings& findings)
      : directory_(std::move(directory)), findings_(findings) {}

  /// Checks one tensor; `needed_bytes` is what its shape and type demand, if that is known. Returns
  /// the bytes it occupies.
  std::uint64_t add(const ExternalEntries& entries, std::optional<std::uint64_t> needed_bytes,
                    const std::string& where);
  /// Looks for overlaps and unused space, and hands over the files in name order.
  [[nodiscard]] std::vector<ModelFile> finish();

private:
  struct Part {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    auto operator<=>(const Part&) const = default;
  };
  struct OpenedFile {
    ModelFile file;
    std::vector<Part> parts;
  };
  OpenedFile* open(const std::string& location, const std::string& where);

  std::filesystem::path directory_;
  Findings& findings_;
  std::map<std::string, std::optional<OpenedFile>, std::less<>> files_; ///< empty: refused before
};

} // namespace aipack::model
