#include "aipack/core/error.hpp"
#include "aipack/core/suggest.hpp"
#include "aipack/core/text.hpp"

#include "settings_tables.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>

// The one file that pays for this header. Header-only, because the nesting of values is limited
// more strictly than in the packaged library.
#define TOML_HEADER_ONLY 1
#define TOML_MAX_NESTED_VALUES 16
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace aipack::registry {
namespace {

/// Dotted keys nest tables without a limit of their own in toml++ 3.3, whose destructor then
/// recurses until the stack is gone.
constexpr std::ptrdiff_t max_dots_per_line = 128;
constexpr std::size_t max_chunk_bytes = std::size_t{1} << 40;
constexpr unsigned max_concurrency = 64;

const std::vector<std::string> known_at_root{
    "registry", "unqualified-search-registries",     "credential-helpers", "short-name-mode",
    "aliases",  "additional-layer-store-auth-helper"};
const std::vector<std::string> known_of_places{
    "location",   "insecure", "plain-http",  "ca-file", "client-cert",
    "client-key", "proxy",    "concurrency", "upload",  "chunk-size"};
const std::vector<std::string> known_of_registries{"prefix", "blocked", "mirror",
                                                   "mirror-by-digest-only"};
const std::vector<std::string> known_of_mirrors{"pull-from-mirror"};

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Reads one file; its methods throw FormatError with the line of what is wrong.
class Reader {
public:
  Reader(std::string_view name, SettingsFormat format)
      : name_(name), directory_(std::filesystem::path(name).parent_path()), format_(format) {}

  std::vector<RegistryTable> read(std::string_view text) {
    const toml::table root = parse(text);
    check_keys(root, known_at_root);
    refuse_version_1(root);
    std::vector<RegistryTable> tables;
    std::set<std::string> seen;
    for (const toml::table* table : tables_of(root, "registry", max_registries)) {
      auto read = registry(*table);
      if (!read) {
        continue;
      }
      if (!seen.insert(read->prefix.to_string()).second) {
        if (format_ == SettingsFormat::aipack) {
          refuse(*table, "a second table for " + quoted(read->prefix.to_string()));
        }
        continue; // containers/image takes the first of a file
      }
      tables.push_back(*std::move(read));
    }
    return tables;
  }

private:
  [[noreturn]] void refuse(std::uint32_t line, std::string_view cause) const {
    throw FormatError(name_, std::nullopt, fmt::format("line {}: {}", line, cause),
                      ErrorCode::invalid_input);
  }
  [[noreturn]] void refuse(const toml::node& node, std::string_view cause) const {
    refuse(node.source().begin.line, cause);
  }

  toml::table parse(std::string_view text) const {
    if (text.size() > max_settings_bytes) {
      throw FormatError(name_, std::nullopt,
                        fmt::format("it is larger than {} bytes", max_settings_bytes),
                        ErrorCode::invalid_input);
    }
    std::uint32_t number = 0;
    for (const std::string_view line : split(text, '\n')) {
      ++number;
      if (std::ranges::count(line, '.') > max_dots_per_line) {
        refuse(number, fmt::format("more than {} dots", max_dots_per_line));
      }
    }
    try {
      return toml::parse(text, std::string_view(name_));
    } catch (const toml::parse_error& error) { // its message quotes the text
      refuse(error.source().begin.line, "it is not valid TOML");
    }
  }

  void check_keys(const toml::table& table, const std::vector<std::string>& known) const {
    if (format_ == SettingsFormat::containers) {
      return; // newer versions of the format may know it
    }
    for (const auto& [key, value] : table) {
      if (std::ranges::find(known, key.str()) == known.end()) {
        const std::string near = nearest_word(key.str(), known);
        refuse(key.source().begin.line,
               "unknown key " + quoted(key.str()) +
                   (near.empty() ? std::string() : "; did you mean " + quoted(near) + "?"));
      }
    }
  }

  /// Version 1 has lists of blocked and insecure registries: passing over them would open what
  /// somebody closed.
  void refuse_version_1(const toml::table& root) const {
    for (const char* list : {"block", "insecure"}) {
      const auto names = root["registries"][list]["registries"];
      if (const toml::array* array = names.as_array(); array != nullptr && !array->empty()) {
        refuse(*array, fmt::format("version 1 of the format, [registries.{}]; write [[registry]] "
                                   "tables instead",
                                   list));
      }
    }
  }

  std::vector<const toml::table*> tables_of(const toml::table& table, std::string_view key,
                                            std::size_t limit) const {
    std::vector<const toml::table*> tables;
    const toml::node* node = table.get(key);
    if (node == nullptr) {
      return tables;
    }
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      refuse(*node, fmt::format("'{}' must be [[tables]]", key));
    }
    if (array->size() > limit) {
      refuse(*node, fmt::format("more than {} tables '{}'", limit, key));
    }
    for (const toml::node& element : *array) {
      if (!element.is_table()) {
        refuse(element, fmt::format("'{}' must be [[tables]]", key));
      }
      tables.push_back(element.as_table());
    }
    return tables;
  }

  template <class T>
  std::optional<T> value(const toml::table& table, std::string_view key,
                         std::string_view kind) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) {
      return std::nullopt;
    }
    auto result = node->value_exact<T>();
    if (!result) {
      refuse(*node, fmt::format("'{}' must be {}", key, kind));
    }
    return result;
  }
  std::optional<bool> flag(const toml::table& table, std::string_view key) const {
    return value<bool>(table, key, "true or false");
  }
  /// An empty text says nothing.
  std::optional<std::string> text(const toml::table& table, std::string_view key) const {
    auto result = value<std::string>(table, key, "text");
    return result && !result->empty() ? result : std::nullopt;
  }
  std::optional<std::uint64_t> number(const toml::table& table, std::string_view key,
                                      std::uint64_t max) const {
    const auto kind = fmt::format("a whole number from 1 to {}", max);
    const auto result = value<std::int64_t>(table, key, kind);
    if (result && (*result < 1 || static_cast<std::uint64_t>(*result) > max)) {
      refuse(*table.get(key), fmt::format("'{}' must be {}", key, kind));
    }
    return result ? std::optional(static_cast<std::uint64_t>(*result)) : std::nullopt;
  }
  /// A file, from the folder of this one on.
  std::optional<std::string> file(const toml::table& table, std::string_view key) const {
    const auto path = text(table, key);
    return path ? std::optional((directory_ / *path).lexically_normal().string()) : std::nullopt;
  }

  std::optional<Place> place(const toml::table& table, std::string_view key) const {
    const auto written = text(table, key);
    if (!written) {
      return std::nullopt;
    }
    auto place = Place::parse(*written);
    if (!place) {
      refuse(*table.get(key),
             fmt::format("'{}' must be 'host[:port][/namespace]', without a scheme", key));
    }
    return place;
  }

  template <class Enum, std::size_t size>
  std::optional<Enum> word(const toml::table& table, std::string_view key,
                           const std::array<std::pair<std::string_view, Enum>, size>& words) const {
    const auto written = text(table, key);
    if (!written) {
      return std::nullopt;
    }
    std::string all;
    for (const auto& [spelling, meaning] : words) {
      if (*written == spelling) {
        return meaning;
      }
      all += (all.empty() ? "'" : ", '") + std::string(spelling) + "'";
    }
    refuse(*table.get(key), fmt::format("'{}' must be one of {}", key, all));
  }

  std::optional<std::string> proxy(const toml::table& table) const {
    auto url = text(table, "proxy");
    if (url && std::ranges::none_of(
                   std::array<std::string_view, 6>{"http://", "https://", "socks4://", "socks4a://",
                                                   "socks5://", "socks5h://"},
                   [&](std::string_view scheme) {
                     return url->starts_with(scheme) && url->size() > scheme.size();
                   })) {
      refuse(*table.get("proxy"), "'proxy' must be the URL of a proxy");
    }
    return url;
  }

  Traits traits(const toml::table& table) const {
    Traits traits;
    traits.insecure = flag(table, "insecure");
    if (format_ == SettingsFormat::containers) {
      return traits;
    }
    traits.plain_http = flag(table, "plain-http");
    traits.ca_file = file(table, "ca-file");
    traits.client_certificate = file(table, "client-cert");
    traits.client_key = file(table, "client-key");
    if (traits.client_certificate.has_value() != traits.client_key.has_value()) {
      refuse(table, "'client-cert' and 'client-key' belong together");
    }
    traits.proxy = proxy(table);
    traits.upload = word<UploadMode, 4>(table, "upload",
                                        {{{"auto", UploadMode::automatic},
                                          {"single", UploadMode::single},
                                          {"stream", UploadMode::stream},
                                          {"chunked", UploadMode::chunked}}});
    traits.chunk_bytes = number(table, "chunk-size", max_chunk_bytes);
    if (const auto count = number(table, "concurrency", max_concurrency)) {
      traits.concurrency = static_cast<unsigned>(*count);
    }
    return traits;
  }

  Mirror mirror(const toml::table& table) const {
    check_keys(table, joined(known_of_places, known_of_mirrors));
    const auto location = place(table, "location");
    if (!location) {
      refuse(table, "a mirror needs a 'location'");
    }
    if (!location->suffix.empty()) {
      refuse(table, "the 'location' of a mirror has a tag or digest");
    }
    return {*location, traits(table),
            word<PullBy, 3>(table, "pull-from-mirror",
                            {{{"all", PullBy::all},
                              {"digest-only", PullBy::digest_only},
                              {"tag-only", PullBy::tag_only}}})
                .value_or(PullBy::all)};
  }

  /// Empty: a table that no reference of ours can match.
  std::optional<RegistryTable> registry(const toml::table& table) const {
    check_keys(table, joined(known_of_places, known_of_registries));
    const bool has_prefix = text(table, "prefix").has_value();
    const char* key = has_prefix ? "prefix" : "location";
    const auto named = text(table, key);
    if (!named) {
      refuse(table, "a registry needs a 'prefix' or a 'location'");
    }
    const auto prefix = Prefix::parse(*named);
    if (!prefix) {
      if (format_ == SettingsFormat::containers && named->find("://") == std::string::npos) {
        return std::nullopt;
      }
      refuse(*table.get(key), fmt::format("'{}' must be 'host[:port][/namespace]' or '*.host', "
                                          "without a scheme",
                                          key));
    }
    RegistryTable read{.prefix = *prefix, .file = name_};
    if (has_prefix) {
      read.location = place(table, "location");
      if (read.location && read.location->suffix != prefix->place.suffix) {
        refuse(*table.get("location"), "'location' has another tag or digest than 'prefix'");
      }
    }
    read.traits = traits(table);
    read.blocked = flag(table, "blocked");
    read.mirror_by_digest_only = flag(table, "mirror-by-digest-only");
    if (table.contains("mirror")) {
      read.mirrors.emplace();
      for (const toml::table* entry : tables_of(table, "mirror", max_mirrors)) {
        read.mirrors->push_back(mirror(*entry));
        if (read.mirror_by_digest_only.value_or(false) &&
            read.mirrors->back().pull != PullBy::all) {
          refuse(*entry, "'pull-from-mirror' stands beside 'mirror-by-digest-only'");
        }
      }
    }
    return read;
  }

  std::string name_;
  std::filesystem::path directory_;
  SettingsFormat format_;
};

} // namespace

std::vector<RegistryTable> parse_tables(std::string_view text, std::string_view name,
                                        SettingsFormat format) {
  return Reader(name, format).read(text);
}

} // namespace aipack::registry
