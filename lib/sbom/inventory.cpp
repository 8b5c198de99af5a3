#include "aipack/core/error.hpp"
#include "aipack/sbom/sbom.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::sbom {

std::string_view to_string(Format format) noexcept {
  switch (format) {
  case Format::spdx_json:
    return "spdx-json";
  case Format::cyclonedx_json:
    return "cyclonedx-json";
  }
  return "";
}

Format parse_format(std::string_view text) {
  for (const auto format : {Format::spdx_json, Format::cyclonedx_json}) {
    if (text == to_string(format)) {
      return format;
    }
  }
  throw Error(ErrorCode::invalid_input,
              fmt::format("cannot write an SBOM as '{}': no such format", text))
      .with_hint("spdx-json or cyclonedx-json");
}

std::string_view media_type(Format format) noexcept {
  // IANA, "Media Types": application/spdx+json, application/vnd.cyclonedx+json.
  switch (format) {
  case Format::spdx_json:
    return "application/spdx+json";
  case Format::cyclonedx_json:
    return "application/vnd.cyclonedx+json";
  }
  return "";
}

std::string write(const Inventory& inventory, Format format) {
  switch (format) {
  case Format::spdx_json:
    return write_spdx(inventory);
  case Format::cyclonedx_json:
    return write_cyclonedx(inventory);
  }
  return {};
}

Inventory part_of(const Inventory& whole, const oci::Platform& platform) {
  const auto found = std::ranges::find(whole.images, platform, &ImageContent::platform);
  if (found == whole.images.end()) {
    std::string platforms;
    for (const auto& image : whole.images) {
      platforms += (platforms.empty() ? "" : ", ") + image.platform.to_string();
    }
    throw Error(ErrorCode::not_found,
                fmt::format("cannot list what is in {} of '{}': it has {}", platform.to_string(),
                            whole.name, platforms.empty() ? "no image" : platforms));
  }
  Inventory part{.name = found->name,
                 .subject = found->manifest,
                 .created = found->created,
                 .images = {*found},
                 .models = {}};
  for (auto& index : part.images.front().models) {
    part.models.push_back(whole.models.at(index));
    index = part.models.size() - 1;
  }
  return part;
}

} // namespace aipack::sbom
