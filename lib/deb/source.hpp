#pragma once

#include "aipack/core/error.hpp"
#include "aipack/deb/archive.hpp"

#include <string>
#include <string_view>

namespace aipack::deb {

/// For people: "'trixie' of 'http://ftp.debian.org/debian'".
[[nodiscard]] std::string display(const Source& source);

/// `mirror` as a URL: "/path" is a mirror on disk.
[[nodiscard]] std::string mirror_url(const std::string& mirror);

/// `path` below the source's mirror.
[[nodiscard]] std::string url_below(const Source& source, std::string_view path);

/// The error for what is not in the cache: "cannot WHAT offline: …".
[[nodiscard]] Error missing_offline(std::string_view what);

} // namespace aipack::deb
