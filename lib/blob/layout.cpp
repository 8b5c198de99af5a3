#include "aipack/blob/layout.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

namespace aipack::blob {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view layout_file = "oci-layout";
constexpr std::string_view index_file = "index.json";
constexpr std::string_view layout_version = "1.0.0"; // image-layout.md, "imageLayoutVersion"
constexpr std::uint64_t max_layout_file_bytes = 4096;

/// aipack::quoted, said in full because <iomanip> has another one.
std::string quote(std::string_view text) {
  return aipack::quoted(text);
}

void check_layout_file(const std::filesystem::path& path) {
  const std::string text = io::read_text_file(path, max_layout_file_bytes);
  const Json json = Json::parse(text, nullptr, false);
  const auto version = json.is_object() ? json.find("imageLayoutVersion") : json.end();
  if (!json.is_object() || version == json.end() || !version->is_string()) {
    throw FormatError(path.string(), std::nullopt, "it has no 'imageLayoutVersion'");
  }
  if (version->get<std::string>() != layout_version) {
    throw FormatError(path.string(), std::nullopt,
                      "its imageLayoutVersion " + quote(version->get<std::string>()) + " is not " +
                          std::string(layout_version),
                      ErrorCode::unsupported);
  }
}

/// Nothing of anybody's: what a killed aipack may leave does not count.
bool holds_nothing(const std::filesystem::path& directory) {
  const auto entries = std::filesystem::directory_iterator(directory);
  return std::all_of(begin(entries), end(entries),
                     [](const std::filesystem::directory_entry& entry) {
                       return entry.path().filename().string().starts_with(".aipack-tmp-");
                     });
}

std::string_view name_of(const oci::Descriptor& descriptor) {
  const auto found = descriptor.annotations.find(std::string(ref_name_annotation));
  return found != descriptor.annotations.end() ? std::string_view(found->second)
                                               : std::string_view{};
}

/// `entry` is the layout's word on what `added` is to be: it has its name, or, without one, its
/// place.
bool is_replaced_by(const oci::Descriptor& entry, const oci::Descriptor& added) {
  if (name_of(entry) != name_of(added)) {
    return false;
  }
  const bool is_image = entry.artifact_type.empty() && added.artifact_type.empty();
  return !name_of(added).empty() || is_image || entry.digest == added.digest;
}

/// The canonical JSON of one entry, taken from that of an index.
Json to_json(const oci::Descriptor& descriptor) {
  oci::Index index;
  index.manifests.push_back(descriptor);
  return Json::parse(oci::seal(std::move(index)).bytes()).at("manifests").at(0);
}

/// What has the place of `added` gives way to it; empty: that is how it is already. Works on the
/// JSON, because entries of other tools may have fields that oci::Index does not keep.
std::optional<std::string> with_entry(const oci::Sealed<oci::Index>& index,
                                      const oci::Descriptor& added) {
  const auto& entries = index->manifests;
  const auto replaced = std::count_if(entries.begin(), entries.end(), [&](const auto& entry) {
    return is_replaced_by(entry, added);
  });
  if (replaced == 1 && std::find(entries.begin(), entries.end(), added) != entries.end()) {
    return std::nullopt;
  }
  const Json old = Json::parse(index.bytes());
  Json list = Json::array();
  bool is_in = false;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!is_replaced_by(entries[i], added)) {
      list.push_back(old.at("manifests").at(i));
    } else if (!is_in) {
      list.push_back(to_json(added));
      is_in = true;
    }
  }
  if (!is_in) {
    list.push_back(to_json(added));
  }
  Json json = old;
  json["manifests"] = std::move(list);
  return json.dump();
}

std::string names_in(const oci::Index& index) {
  std::set<std::string> names;
  for (const oci::Descriptor& entry : index.manifests) {
    if (const auto name = name_of(entry); !name.empty()) {
      names.insert(quote(name));
    }
  }
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text.empty() ? "it has no tags" : "its tags are " + text;
}

/// Signatures and other artifacts stand beside the image that they are about.
bool is_artifact(const oci::Descriptor& entry) {
  return !entry.artifact_type.empty() || attachment_subject(name_of(entry)).has_value();
}

} // namespace

std::optional<oci::Digest> attachment_subject(std::string_view tag) {
  constexpr std::string_view prefix = "sha256-";
  constexpr std::size_t hex_digits = 64;
  if (!tag.starts_with(prefix)) {
    return std::nullopt;
  }
  const auto suffix = tag.substr(std::min(tag.size(), prefix.size() + hex_digits));
  if (suffix != ".sig" && suffix != ".att" && suffix != ".sbom") {
    return std::nullopt;
  }
  return oci::Digest::try_from_hex(tag.substr(prefix.size(), hex_digits));
}

const oci::Descriptor& choose_entry(const oci::Index& index, std::string_view tag,
                                    std::string_view where) {
  const auto& entries = index.manifests;
  const std::string place(where);
  if (!tag.empty()) {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const auto& entry) { return name_of(entry) == tag; });
    if (found != entries.end()) {
      return *found;
    }
    throw Error(ErrorCode::not_found,
                "cannot find tag " + quote(tag) + " in " + place + ": " + names_in(index));
  }
  std::vector<const oci::Descriptor*> images;
  for (const oci::Descriptor& entry : entries) {
    if (!is_artifact(entry)) {
      images.push_back(&entry);
    }
  }
  const auto same = [&](const oci::Descriptor* image) {
    return image->digest == images.front()->digest;
  };
  if (!images.empty() && std::all_of(images.begin(), images.end(), same)) {
    return *images.front();
  }
  if (images.empty()) {
    throw Error(ErrorCode::not_found, "cannot find an image in " + place + ": it is empty");
  }
  throw Error(ErrorCode::not_found, "cannot choose an image in " + place + ": it holds " +
                                        std::to_string(images.size()) + ", " + names_in(index))
      .with_hint("name one behind a ':', as in 'oci:DIR:TAG'");
}

Layout::Layout(std::filesystem::path directory, io::Durability durability)
    : directory_(std::move(directory)), durability_(durability),
      store_(std::make_unique<DirectoryStore>(directory_ / "blobs", durability)) {}

Layout Layout::open(const std::filesystem::path& directory) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) {
    throw Error(ErrorCode::not_found,
                "cannot open layout " + quote(directory.string()) + ": there is no such directory");
  }
  if (!std::filesystem::exists(directory / layout_file, error)) {
    throw Error(ErrorCode::not_found, "cannot open layout " + quote(directory.string()) +
                                          ": it is no OCI layout, it has no file 'oci-layout'");
  }
  check_layout_file(directory / layout_file);
  for (const std::string_view part : {index_file, std::string_view("blobs")}) {
    if (!std::filesystem::exists(directory / part, error)) {
      throw FormatError(directory.string(), std::nullopt, "its " + quote(part) + " is missing");
    }
  }
  return {directory, io::Durability::synced};
}

Layout Layout::create(const std::filesystem::path& directory, io::Durability durability) {
  std::error_code error;
  if (std::filesystem::exists(directory / layout_file, error)) {
    check_layout_file(directory / layout_file);
  } else {
    std::filesystem::create_directories(directory, error);
    if (error || !std::filesystem::is_directory(directory)) {
      throw_errno("create layout " + quote(directory.string()), error ? error.value() : ENOTDIR);
    }
    // What another process made of it in this very moment is a layout by now: oci-layout comes first.
    if (!holds_nothing(directory) && !std::filesystem::exists(directory / layout_file, error)) {
      throw Error(ErrorCode::already_exists,
                  "cannot create layout " + quote(directory.string()) +
                      ": the directory is not empty, and it is no OCI layout")
          .with_hint("choose another directory, or empty this one");
    }
    // First of all: a run that is killed right after this leaves a layout, not a directory that the
    // next run refuses.
    io::write_file_atomically(directory / layout_file,
                              io::as_bytes(R"({"imageLayoutVersion":"1.0.0"})"), durability);
  }
  Layout layout(directory, durability);
  if (!std::filesystem::exists(directory / index_file, error)) {
    const io::FileLock lock(directory / layout_file, Operation{});
    if (!std::filesystem::exists(directory / index_file, error)) {
      io::write_file_atomically(directory / index_file,
                                io::as_bytes(oci::seal(oci::Index{}).bytes()), durability);
    }
  }
  return layout;
}

oci::Sealed<oci::Index> Layout::index() const {
  const auto path = directory_ / index_file;
  return oci::parse_index(io::read_text_file(path, oci::max_manifest_bytes), path.string());
}

oci::Descriptor Layout::resolve(std::string_view tag) const {
  const auto sealed = index();
  return choose_entry(sealed.value(), tag, "layout " + quote(directory_.string()));
}

namespace {

/// index.json with all of them; empty: that is how it is already.
std::optional<std::string> with_entries(const oci::Sealed<oci::Index>& index,
                                        const std::vector<Layout::Entry>& entries,
                                        const std::string& name) {
  std::optional<oci::Sealed<oci::Index>> changed;
  for (const Layout::Entry& entry : entries) {
    oci::Descriptor added = entry.descriptor;
    added.annotations.erase(std::string(ref_name_annotation));
    if (!entry.tag.empty()) {
      added.annotations[std::string(ref_name_annotation)] = entry.tag;
    }
    if (auto bytes = with_entry(changed ? *changed : index, added)) {
      // What we write, we and others can read.
      changed = oci::parse_index(std::move(*bytes), name);
    }
  }
  return changed ? std::optional(changed->bytes()) : std::nullopt;
}

} // namespace

bool Layout::tag(const oci::Descriptor& descriptor, std::string_view tag, const Operation& op) {
  return update(
      [&](const oci::Index&) {
        return std::vector{Entry{descriptor, std::string(tag)}};
      },
      op);
}

bool Layout::update(const Change& change, const Operation& op) {
  const auto path = directory_ / index_file;
  const auto changed = [&] {
    const auto sealed = index();
    return with_entries(sealed, change(sealed.value()), path.string());
  };
  if (!changed()) {
    return false; // without the lock, so that a read-only layout can be asked
  }
  // oci-layout never changes, so it can be the lock: no file that does not belong into a layout.
  const io::FileLock lock(directory_ / layout_file, op);
  const auto bytes = changed();
  if (!bytes) {
    return false;
  }
  io::write_file_atomically(path, io::as_bytes(*bytes), durability_);
  return true;
}

} // namespace aipack::blob
