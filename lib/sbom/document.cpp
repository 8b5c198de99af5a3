#include "document.hpp"

#include "aipack/core/text.hpp"

#include "purl.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::sbom {

std::string to_text(const Json& document) {
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

oci::Digest content_digest(const Json& document) {
  return oci::Digest::of(document.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string uuid_of(const oci::Digest& digest) {
  auto hex = digest.hex().substr(0, 32);
  hex[12] = '8'; // version
  // Variant 10xx.
  constexpr std::string_view digits = "0123456789abcdef";
  hex[16] = digits[8 + digits.find(hex[16]) % 4];
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

std::string Identifiers::make(std::string_view words) {
  std::string id = "SPDXRef-";
  for (const char c : words) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-';
    id += plain ? c : '-';
  }
  auto unique = id;
  for (std::size_t number = 2; !taken_.insert(unique).second; ++number) {
    unique = fmt::format("{}-{}", id, number);
  }
  return unique;
}

SharedPackages::SharedPackages(const Inventory& inventory) {
  std::map<std::string, std::vector<std::size_t>> by_purl;
  for (const auto& image : inventory.images) {
    auto& mine = of_image.emplace_back();
    for (const auto& package : image.packages) {
      auto purl = deb_purl(package, image.suite);
      auto& same = by_purl[purl];
      const auto known = std::find_if(same.begin(), same.end(), [&](std::size_t index) {
        return *packages[index].package == package;
      });
      if (known != same.end()) {
        mine.push_back(*known);
        continue;
      }
      same.push_back(packages.size());
      mine.push_back(packages.size());
      packages.push_back({&package, std::move(purl)});
    }
  }
}

Named runtime_of(const ImageContent& image) {
  const auto space = image.runtime.rfind(' ');
  return space == std::string::npos
             ? Named{image.runtime, ""}
             : Named{image.runtime.substr(0, space), image.runtime.substr(space + 1)};
}

bool is_url(std::string_view text) noexcept {
  const bool has_scheme =
      text.starts_with("https://") || text.starts_with("http://") || text.starts_with("ftp://");
  return has_scheme && is_utf8(text) && std::ranges::none_of(text, [](char c) {
           return static_cast<unsigned char>(c) <= ' ' || c == '\x7f' ||
                  std::string_view("\"<>\\^`{|}").find(c) != std::string_view::npos;
         });
}

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string place_of(const File& file) {
  return fmt::format("{} bytes at {} of the tar of layer {}", file.size_bytes, file.offset,
                     file.layer.to_string());
}

std::string tensor_text(const model::TensorInfo& tensor) {
  return fmt::format("{}: {}{}", tensor.name, tensor.element_type,
                     tensor.has_shape ? tensor.shape_text() : " of any shape");
}

std::optional<oci::Digest> digest_of(const Model& model) {
  return model.files.size() == 1 && model.files.front().checksums
             ? std::optional(model.files.front().checksums->sha256)
             : std::nullopt;
}

std::string domain_text(const std::string& domain) {
  return domain.empty() ? "ai.onnx" : domain;
}

} // namespace aipack::sbom
