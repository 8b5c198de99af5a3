#include "release.hpp"

#include "aipack/core/text.hpp"
#include "aipack/fs/root_path.hpp"

#include "control_scan.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include <fmt/format.h>

// A Release file is one control paragraph. Source: Debian wiki "DebianRepository/Format", "Release
// files"; apt-secure(8). Read here:
//
//   Suite, Codename   names of the suite; one of them must be the one that was asked for
//   Date, Valid-Until RFC 5322 dates, UTC
//   Architectures     separated by spaces
//   Acquire-By-Hash   "yes": files are also served as by-hash/SHA256/<digest>
//   SHA256            lines of digest, size in bytes and path relative to the Release file
//
// The MD5Sum and SHA1 lists are not read.

namespace aipack::deb {
namespace {

constexpr std::int64_t day = 24 * 60 * 60;

/// Words between spaces and tabs.
std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> result;
  for (std::size_t at = 0; (at = line.find_first_not_of(" \t\r", at)) != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
    result.push_back(line.substr(at, end - at));
    at = end;
  }
  return result;
}

std::int64_t parse_date(std::string_view text, std::string_view field, const std::string& name) {
  const auto date = http::parse_http_date(text);
  if (!date) {
    throw FormatError(name, std::nullopt,
                      fmt::format("{} {} is no date", field, aipack::quoted(text)));
  }
  return *date;
}

std::vector<ReleaseFile> parse_files(std::string_view list, const std::string& name) {
  std::vector<ReleaseFile> files;
  for (const std::string_view line : split(list, '\n')) {
    const auto parts = words(line);
    if (parts.empty()) {
      continue;
    }
    const auto digest = oci::Digest::try_from_hex(parts.front());
    const auto size = parts.size() == 3 ? parse_decimal(parts[1]) : std::nullopt;
    if (!digest || !size || !fs::RootPath::try_parse(parts[2]) || parts[2].front() == '/') {
      throw FormatError(name, std::nullopt,
                        fmt::format("a wrong line in the SHA256 list: {}", aipack::quoted(line)));
    }
    if (files.size() == max_release_files) {
      throw FormatError(name, std::nullopt, fmt::format("more than {} files", max_release_files));
    }
    files.push_back({std::string(parts[2]), *digest, *size});
  }
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  const auto twice = std::adjacent_find(
      files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path == b.path; });
  if (twice != files.end()) {
    throw FormatError(name, std::nullopt,
                      fmt::format("file {} is listed twice", aipack::quoted(twice->path)));
  }
  return files;
}

} // namespace

std::string to_date_text(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  if (::gmtime_r(&time, &parts) == nullptr) {
    return std::to_string(seconds);
  }
  std::array<char, 64> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return {text.data(), size};
}

const ReleaseFile* Release::find(std::string_view path) const noexcept {
  const auto found = std::lower_bound(
      files.begin(), files.end(), path,
      [](const ReleaseFile& file, std::string_view wanted) { return file.path < wanted; });
  return found != files.end() && found->path == path ? &*found : nullptr;
}

Release parse_release(std::string_view text, std::string_view suite) {
  const std::string name = fmt::format("InRelease of {}", aipack::quoted(suite));
  const auto paragraphs = parse_control_up_to(text, name, max_release_bytes);
  if (paragraphs.size() != 1) {
    throw FormatError(name, std::nullopt,
                      fmt::format("{} paragraphs instead of one", paragraphs.size()));
  }
  const Paragraph& fields = paragraphs.front();
  const auto field = [&](std::string_view key) {
    return std::string(fields.find(key).value_or(""));
  };
  Release release{.suite = std::string(suite),
                  .codename = field("Codename"),
                  .version = field("Version"),
                  .label = field("Label"),
                  .digest = oci::Digest::of(text)};
  if (suite != release.codename && suite != field("Suite")) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot use {}: it is signed for suite {} (codename {})", name,
                            aipack::quoted(field("Suite")), aipack::quoted(release.codename)))
        .with_hint("the mirror serves another suite under this name");
  }
  const auto date = fields.find("Date");
  if (!date) {
    throw FormatError(name, std::nullopt, "it has no Date");
  }
  release.date = parse_date(*date, "Date", name);
  if (const auto until = fields.find("Valid-Until")) {
    release.valid_until = parse_date(*until, "Valid-Until", name);
  }
  release.acquire_by_hash = field("Acquire-By-Hash") == "yes";
  for (const std::string_view architecture : words(fields.find("Architectures").value_or(""))) {
    release.architectures.emplace_back(architecture);
  }
  const auto list = fields.find("SHA256");
  if (!list) {
    throw FormatError(name, std::nullopt, "it has no SHA256 list");
  }
  release.files = parse_files(*list, name);
  return release;
}

void check_release(const Release& release, const VerifyOptions& options) {
  if (options.ignore_valid_until) {
    return;
  }
  const auto refuse = [&](std::string cause) {
    return Error(ErrorCode::unavailable, fmt::format("cannot use InRelease of {}: {}",
                                                     aipack::quoted(release.suite), cause));
  };
  if (release.valid_until && options.now > *release.valid_until) {
    throw refuse(fmt::format("it expired on {}", to_date_text(*release.valid_until)))
        .with_hint("use a mirror that is up to date; --ignore-valid-until waives the check, for "
                   "archived snapshots");
  }
  if (release.date > options.now + day) {
    throw refuse(fmt::format("it is dated {}, in the future", to_date_text(release.date)))
        .with_hint("check this machine's clock");
  }
}

Release verify_release(std::string_view in_release, std::string_view suite, const Verify& verify,
                       const VerifyOptions& options) {
  const std::string name = fmt::format("InRelease of {}", aipack::quoted(suite));
  if (in_release.size() > max_release_bytes) {
    throw FormatError(name, std::nullopt, fmt::format("larger than {} bytes", max_release_bytes));
  }
  SignedText signed_text = verify(in_release, name);
  Release release = parse_release(signed_text.text, suite);
  release.digest = oci::Digest::of(in_release);
  release.signed_by = std::move(signed_text.signed_by);
  check_release(release, options);
  return release;
}

Release verify_release(std::string_view in_release, std::string_view suite,
                       const VerifyOptions& options) {
  const auto keyring = Keyring::open(options.keyrings);
  const auto judge = [&](std::string_view message, std::string_view name) {
    return keyring->verify(message, name, options.now);
  };
  return verify_release(in_release, suite, judge, options);
}

} // namespace aipack::deb
