#include "aipack/image/location.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <array>

#include <fmt/format.h>

namespace aipack::image {
namespace {

struct Transport {
  std::string_view prefix;
  Location::Kind kind;
};
constexpr std::array transports{Transport{"oci:", Location::Kind::layout},
                                Transport{"oci-archive:", Location::Kind::oci_archive},
                                Transport{"docker-archive:", Location::Kind::docker_archive}};
constexpr std::string_view registry_prefix = "docker://";

/// Transports of containers-image that aipack knows only by name: without this list
/// "docker-daemon:x" would read as a repository and tag.
constexpr std::array foreign_transports{
    "atomic:", "containers-storage:", "dir:", "docker-daemon:", "ostree:", "sif:", "tarball:"};

Location parse_path(Location::Kind kind, std::string_view rest, std::string_view whole) {
  const auto colon = rest.find(':');
  const auto path = rest.substr(0, colon);
  const auto tag = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  if (path.empty()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot read the location {}: the path is missing", quoted(whole)));
  }
  if (colon != std::string_view::npos && tag.empty()) {
    throw Error(
        ErrorCode::invalid_input,
        fmt::format("cannot read the location {}: the tag after ':' is missing", quoted(whole)))
        .with_hint("a path cannot hold ':'; leave the last ':' out to mean the only image");
  }
  if (whole.find('\0') != std::string_view::npos) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot read the location {}: it holds a NUL", quoted(whole)));
  }
  return Location{kind, std::filesystem::path(path), std::string(tag), std::nullopt};
}

bool looks_like_path(std::string_view text) {
  return text.starts_with('/') || text.starts_with("./") || text.starts_with("../") ||
         text.starts_with("~");
}

} // namespace

Location Location::parse(std::string_view text) {
  for (const auto& transport : transports) {
    if (text.starts_with(transport.prefix)) {
      return parse_path(transport.kind, text.substr(transport.prefix.size()), text);
    }
  }
  for (const std::string_view foreign : foreign_transports) {
    if (text.starts_with(foreign)) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot use the location {}: aipack does not speak '{}'",
                              quoted(text), foreign))
          .with_hint("copy it with skopeo to an oci: layout first");
    }
  }
  auto name = text;
  if (name.starts_with(registry_prefix)) {
    name.remove_prefix(registry_prefix.size());
  } else if (looks_like_path(name)) {
    throw Error(
        ErrorCode::invalid_input,
        fmt::format("cannot read the location {}: a path needs its kind in front", quoted(text)))
        .with_hint("write oci:DIR, oci-archive:FILE or docker-archive:FILE");
  }
  return with_context(
      [&] {
        return Location{Kind::registry, {}, {}, oci::Reference::parse(name)};
      },
      fmt::format("while reading the location {}", quoted(text)));
}

std::string Location::to_string() const {
  if (kind == Kind::registry) {
    return std::string(registry_prefix) + reference.value().to_string();
  }
  std::string text;
  for (const auto& transport : transports) {
    if (transport.kind == kind) {
      text = std::string(transport.prefix) + path.string();
    }
  }
  return tag.empty() ? text : text + ":" + tag;
}

} // namespace aipack::image
