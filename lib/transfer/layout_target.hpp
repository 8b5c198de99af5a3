#pragma once

#include "aipack/blob/layout.hpp"
#include "aipack/transfer/place.hpp"

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

namespace aipack::transfer {

/// An OCI layout, which is made when the first thing is put into it: what fails before leaves
/// nothing, what fails later goes on from there.
class LayoutTarget final : public Target {
public:
  explicit LayoutTarget(const image::Location& location);

  /// Empty as well when something of it is missing, as in a sparse copy.
  [[nodiscard]] std::optional<oci::Descriptor> find(const Operation& op) override;
  [[nodiscard]] Presence look(const registry::Document& document, std::string_view tag,
                              const Operation& op) override;
  registry::UploadReport put_blob(Origin& origin, const oci::Descriptor& descriptor,
                                  const Operation& op) override;
  void put_manifest(const registry::Document& document, std::string_view tag,
                    const Operation& op) override;
  void finish(const registry::Document& root, const Operation& op) override;

private:
  blob::Layout& layout();
  [[nodiscard]] const blob::Layout* existing();

  std::filesystem::path directory_;
  std::string tag_;
  std::mutex index_mutex_; ///< while index.json is written
  std::mutex mutex_;
  std::optional<blob::Layout> layout_; ///< stays where it is once it is there
};

} // namespace aipack::transfer
