#include "source.hpp"

#include "aipack/core/text.hpp"

#include <fmt/format.h>

namespace aipack::deb {

std::string display(const Source& source) {
  return fmt::format("{} of {}", aipack::quoted(source.suite),
                     aipack::quoted(redacted_url(source.mirror)));
}

std::string mirror_url(const std::string& mirror) {
  return mirror.substr(0, 1) == "/" ? http::file_url(mirror) : mirror;
}

std::string url_below(const Source& source, std::string_view path) {
  return fmt::format("{}/{}", mirror_url(source.mirror), path);
}

Error missing_offline(std::string_view what) {
  return Error(ErrorCode::unavailable,
               fmt::format("cannot {} offline: it is not in the cache, or damaged there", what))
      .with_hint("run the command once without --offline");
}

} // namespace aipack::deb
