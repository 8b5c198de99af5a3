#include "docker_archive.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::image {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& name, std::string_view cause) {
  throw FormatError(name, std::nullopt, cause);
}

Json parse_json(const std::string& text, const std::string& name) {
  const auto check_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > static_cast<int>(oci::max_json_depth)) {
      refuse(name, "it is nested too deeply");
    }
    return true;
  };
  try {
    return Json::parse(text, check_depth);
  } catch (const Json::parse_error& error) {
    throw FormatError(name, error.byte, "it is not valid JSON");
  }
}

std::string text_of(const Json& value, std::string_view key, const std::string& name) {
  if (!value.is_string()) {
    refuse(name, fmt::format("'{}' is not text", key));
  }
  return value.get<std::string>();
}

/// Absent and null both mean none: Go writes an empty list as null.
std::vector<std::string> texts_of(const Json& object, const char* key, const std::string& name) {
  std::vector<std::string> result;
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) {
    return result;
  }
  if (!found->is_array()) {
    refuse(name, fmt::format("'{}' is not a list", key));
  }
  for (const auto& item : *found) {
    result.push_back(text_of(item, key, name));
  }
  return result;
}

std::string joined_tags(const std::vector<DockerImage>& images) {
  std::string text;
  for (const auto& image : images) {
    for (const auto& tag : image.tags) {
      text += text.empty() ? "" : ", ";
      text += quoted(tag);
    }
  }
  return text.empty() ? "none" : text;
}

bool has_tag(const DockerImage& image, const std::string& tag) {
  return std::any_of(image.tags.begin(), image.tags.end(), [&](const std::string& known) {
    return known == tag || known == tag + ":latest";
  });
}

} // namespace

std::vector<DockerImage> parse_docker_manifest(const std::string& text, const std::string& name) {
  const auto document = parse_json(text, name);
  if (!document.is_array()) {
    refuse(name, "it is not a list of images");
  }
  std::vector<DockerImage> images;
  for (const auto& item : document) {
    if (!item.is_object() || !item.contains("Config")) {
      refuse(name, "an image has no 'Config'");
    }
    images.push_back({text_of(item.at("Config"), "Config", name), texts_of(item, "RepoTags", name),
                      texts_of(item, "Layers", name)});
  }
  return images;
}

const DockerImage& choose_docker_image(const std::vector<DockerImage>& images,
                                       const std::string& tag, const std::string& name) {
  if (tag.empty() && images.size() == 1) {
    return images.front();
  }
  for (const auto& image : images) {
    if (!tag.empty() && has_tag(image, tag)) {
      return image;
    }
  }
  if (tag.empty()) {
    throw Error(ErrorCode::not_found, fmt::format("cannot choose an image of {}: it holds {}",
                                                  quoted(name), images.size()))
        .with_hint(fmt::format("add one of its tags after ':': {}", joined_tags(images)));
  }
  throw Error(ErrorCode::not_found, fmt::format("cannot find {} in {}: its tags are {}",
                                                quoted(tag), quoted(name), joined_tags(images)));
}

} // namespace aipack::image
