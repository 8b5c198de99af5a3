#include "source_file.hpp"

#include "aipack/core/text.hpp"
#include "aipack/deb/version.hpp"
#include "aipack/fs/root_path.hpp"
#include "aipack/io/file.hpp"

#include "source.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::deb {
namespace {

/// " <digest> <size> <name>" whose name ends in `suffix`.
std::optional<SourceFile> parse_checksum(std::string_view line, std::string_view suffix) {
  line = trim(line);
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return std::nullopt;
  }
  const std::string_view name = line.substr(last + 1);
  const auto digest = oci::Digest::try_from_hex(line.substr(0, first));
  const auto size = parse_decimal(trim(line.substr(first, last - first)));
  if (name.size() < suffix.size() || name.substr(name.size() - suffix.size()) != suffix ||
      !digest || !size || !fs::RootPath::try_parse(name)) {
    return std::nullopt;
  }
  return SourceFile{std::string(name), {}, *digest, *size};
}

/// The paragraphs whose Package field is `name`, without parsing the others: a Sources index has
/// 70 MB.
std::vector<std::string_view> paragraphs_of(std::string_view text, std::string_view name,
                                            const Operation& op) {
  std::vector<std::string_view> result;
  const std::string line = fmt::format("Package: {}\n", name);
  for (std::size_t at = 0; (at = text.find(line, at)) != std::string_view::npos; ++at) {
    op.check();
    if (at != 0 && text[at - 1] != '\n') {
      continue;
    }
    const std::size_t before = text.rfind("\n\n", at);
    const std::size_t begin = before == std::string_view::npos ? 0 : before + 2;
    const std::size_t end = std::min(text.find("\n\n", at), text.size());
    result.push_back(text.substr(begin, end - begin));
  }
  return result;
}

} // namespace

SourceFile find_source_file(std::span<const IndexFile> indexes, std::string_view source_package,
                            std::string_view suffixes, const Operation& op) {
  std::optional<Version> newest;
  std::optional<std::pair<Paragraph, const IndexFile*>> found;
  for (const IndexFile& index : indexes) {
    const io::Mapping mapping(index.file);
    const std::string_view text = io::as_text(mapping.bytes());
    for (const std::string_view part : paragraphs_of(text, source_package, op)) {
      Paragraph paragraph = parse_control(part, index.release_path).at(0);
      Version version = Version::parse(paragraph.get("Version"));
      if (!newest || *newest < version) {
        newest = std::move(version);
        found.emplace(std::move(paragraph), &index);
      }
    }
  }
  if (!found) {
    throw Error(ErrorCode::not_found,
                fmt::format("cannot find source package {}: no Sources index names it",
                            aipack::quoted(source_package)));
  }
  const auto& [paragraph, index] = *found;
  const std::string_view directory = paragraph.get("Directory");
  for (const std::string_view suffix : split(suffixes, '|')) {
    for (const std::string_view line : split(paragraph.get("Checksums-Sha256"), '\n')) {
      if (auto file = parse_checksum(line, suffix)) {
        const auto place = fs::RootPath::try_parse(fmt::format("{}/{}", directory, file->name));
        if (!place || fs::RootPath::parse(file->name).text() != place->filename() ||
            file->size_bytes > max_package_bytes) {
          throw FormatError(index->release_path, std::nullopt,
                            fmt::format("a wrong file name {}", aipack::quoted(file->name)));
        }
        file->url = url_below(index->source, place->text());
        return *file;
      }
    }
  }
  throw Error(ErrorCode::not_found,
              fmt::format("cannot find a file {} of source package {} {}", aipack::quoted(suffixes),
                          aipack::quoted(source_package), newest->to_string()));
}

} // namespace aipack::deb
