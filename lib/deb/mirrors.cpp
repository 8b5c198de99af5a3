#include "aipack/core/text.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/io/file.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

// The host's package sources, sources.list(5):
//
//   one-line form (*.list):   deb [ option=value … ] URI suite component…
//   deb822 form (*.sources):  paragraphs with Types, URIs, Suites, Components, Enabled
//
// Only the URIs matter here: which suites the host itself follows says nothing about the image.

namespace aipack::deb {
namespace {

constexpr std::uint64_t max_sources_bytes = std::uint64_t{1} << 20;

bool ends_with(std::string_view text, std::string_view end) noexcept {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool starts_with(std::string_view text, std::string_view start) noexcept {
  return text.substr(0, start.size()) == start;
}

std::string without_trailing_slashes(std::string_view text) {
  while (ends_with(text, "/")) {
    text.remove_suffix(1);
  }
  return std::string(text);
}

/// Only what the transport can fetch: cdrom:, mirror+file:, tor+http: and others are apt's.
bool is_fetchable(std::string_view uri) noexcept {
  return starts_with(uri, "http://") || starts_with(uri, "https://") ||
         starts_with(uri, "file:///");
}

/// Takes `uri` for the archive or the security archive if it is one and none is known yet.
void consider(std::string_view uri, Mirrors& mirrors) {
  if (!is_fetchable(uri) || uri.find_first_of("?#") != std::string_view::npos) {
    return;
  }
  std::string clean = without_trailing_slashes(uri);
  if (ends_with(clean, "/debian-security")) {
    if (mirrors.security.empty()) {
      mirrors.security = std::move(clean);
    }
  } else if (ends_with(clean, "/debian") && mirrors.archive.empty()) {
    mirrors.archive = std::move(clean);
  }
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> result;
  for (std::size_t at = 0;
       (at = text.find_first_not_of(" \t\r\n", at)) != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(" \t\r\n", at), text.size());
    result.push_back(text.substr(at, end - at));
    at = end;
  }
  return result;
}

void read_one_line_form(std::string_view text, Mirrors& mirrors) {
  for (std::string_view line : split(text, '\n')) {
    line = trim(line.substr(0, line.find('#')));
    if (!starts_with(line, "deb ") && !starts_with(line, "deb\t")) {
      continue;
    }
    line = trim(line.substr(3));
    if (starts_with(line, "[")) {
      const std::size_t close = line.find(']');
      line = close == std::string_view::npos ? std::string_view{} : trim(line.substr(close + 1));
    }
    if (const auto parts = words(line); !parts.empty()) {
      consider(parts.front(), mirrors);
    }
  }
}

void read_deb822_form(std::string_view text, const std::string& name, Mirrors& mirrors) {
  for (const Paragraph& paragraph : parse_control(text, name)) {
    const std::string_view enabled = trim(paragraph.find("Enabled").value_or("yes"));
    if (enabled == "no" || enabled == "false" || enabled == "0" || enabled == "off" ||
        enabled == "without" || enabled == "disable") {
      continue; // apt's own list of spellings, strutl.cc, StringToBool
    }
    const auto types = words(paragraph.find("Types").value_or(""));
    if (std::find(types.begin(), types.end(), "deb") == types.end()) {
      continue;
    }
    for (const std::string_view uri : words(paragraph.find("URIs").value_or(""))) {
      consider(uri, mirrors);
    }
  }
}

void read_sources(const std::filesystem::path& file, Mirrors& mirrors) {
  try {
    const std::string text = io::read_text_file(file, max_sources_bytes);
    if (file.extension() == ".sources") {
      read_deb822_form(text, file.string(), mirrors);
    } else {
      read_one_line_form(text, mirrors);
    }
  } catch (const Error&) {
    // What apt cannot read either is apt's to report.
  }
}

} // namespace

Mirrors host_apt_mirrors(const std::filesystem::path& etc_apt) {
  Mirrors mirrors{.archive = {}, .security = {}, .origin = "apt configuration"};
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::directory_iterator it(etc_apt / "sources.list.d", error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".list" || it->path().extension() == ".sources") {
      files.push_back(it->path());
    }
  }
  std::sort(files.begin(), files.end());
  files.insert(files.begin(), etc_apt / "sources.list");
  for (const auto& file : files) {
    read_sources(file, mirrors);
  }
  return mirrors;
}

Mirrors parse_mirrors(std::string_view text, std::string origin) {
  const auto bad = [&](std::string_view cause) {
    return Error(ErrorCode::invalid_input,
                 fmt::format("cannot use mirror {} (from {}): {}",
                             aipack::quoted(redacted_url(text)), origin, cause))
        .with_hint("write 'http://HOST/debian', or 'ARCHIVE,SECURITY' to name both archives");
  };
  const auto parts = split(text, ',');
  std::vector<std::string> urls;
  for (const std::string_view part : parts) {
    const std::string_view url = trim(part);
    if (url.empty()) {
      throw bad("it is empty");
    }
    if (starts_with(url, "/")) {
      urls.push_back(http::file_url(without_trailing_slashes(url)));
      continue;
    }
    if (url.find_first_of("?# \t\n\r") != std::string_view::npos) {
      throw bad("a mirror's URL has no query, fragment or space");
    }
    if (is_fetchable(url) && url.find_first_not_of('/', url.find("//")) != std::string_view::npos) {
      urls.push_back(without_trailing_slashes(url));
    } else {
      throw bad("not a URL of http, https or file, and not an absolute path");
    }
  }
  if (urls.size() > 2) {
    throw bad("more than an archive and a security archive");
  }
  if (urls.size() == 2) {
    return {.archive = urls[0], .security = urls[1], .origin = std::move(origin)};
  }
  if (!ends_with(urls[0], "/debian")) {
    throw bad("the security archive beside it is only known when its path ends in '/debian'");
  }
  std::string security = urls[0] + "-security";
  return {
      .archive = std::move(urls[0]), .security = std::move(security), .origin = std::move(origin)};
}

Mirrors choose_mirrors(std::string_view text, std::string origin,
                       const std::filesystem::path& etc_apt) {
  if (!text.empty()) {
    return parse_mirrors(text, std::move(origin));
  }
  auto mirrors = host_apt_mirrors(etc_apt);
  if (mirrors.archive.empty()) {
    return {std::string(default_mirror), std::string(default_security_mirror), "default"};
  }
  if (mirrors.security.empty()) {
    mirrors.security = default_security_mirror;
  }
  return mirrors;
}

std::vector<Source> sources_for(std::string_view suite, const Mirrors& mirrors) {
  if (suite.empty() ||
      suite.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-./") !=
          std::string_view::npos ||
      suite.find("..") != std::string_view::npos || suite.front() == '/') {
    throw Error(
        ErrorCode::invalid_input,
        fmt::format("cannot use suite {}: not the name of a Debian suite", aipack::quoted(suite)));
  }
  const std::string name(suite);
  const auto security = [&](std::string security_suite) {
    if (mirrors.security.empty()) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot use suite {}: no mirror of the security archive is known",
                              aipack::quoted(suite)))
          .with_hint("name it after a comma: --mirror ARCHIVE,SECURITY");
    }
    return Source{.mirror = mirrors.security, .suite = std::move(security_suite)};
  };
  // These get their fixes by ordinary uploads.
  static constexpr std::array<std::string_view, 6> moving{"sid",     "unstable", "experimental",
                                                          "testing", "forky",    "rc-buggy"};
  if (std::find(moving.begin(), moving.end(), suite) != moving.end()) {
    return {{.mirror = mirrors.archive, .suite = name}};
  }
  if (ends_with(suite, "-security")) {
    return {security(name)};
  }
  if (suite.find('-') !=
      std::string_view::npos) { // "trixie-backports", "trixie-updates": asked for by name
    return {{.mirror = mirrors.archive, .suite = name}};
  }
  return {{.mirror = mirrors.archive, .suite = name},
          {.mirror = mirrors.archive, .suite = name + "-updates"},
          security(name + "-security")};
}

} // namespace aipack::deb
