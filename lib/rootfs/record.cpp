#include "aipack/core/error.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

namespace aipack::rootfs {
namespace {

using nlohmann::json;

// The record, version 1. Texts that repeat stand once in `strings`; everything else refers to them
// by index. Paths are absolute.
//
//   { "version": 1,
//     "strings": ["", "libre2-11", "needed", "DT_NEEDED libre2.so.11", …],
//     "kept":    [[path, package, rule, detail, from], …]           // package, rule, detail:
//     indexes; from: index into kept, -1 without,
//                                                                   // or a path that is not kept
//     "dropped": [[package, reason, [[what, size_bytes], …]], …]    // package, reason: indexes
//     "scripts": [[package, script, digest, kind, effect], …],      // texts
//     "packages": [{"name": …, "version": …, …}, …],                // texts; fields that are empty
//                                                                   // are left out
//     "licenses": {"LicenseRef-…": text, …} }                       // of all packages
//
// Records of aipack before 0.2 have no "packages" and no "licenses".
constexpr int version = 1;
constexpr int max_depth = 6;

class Strings {
public:
  std::size_t operator()(const std::string& text) {
    const auto [slot, is_new] = index_.try_emplace(text, texts_.size());
    if (is_new) {
      texts_.push_back(text);
    }
    return slot->second;
  }
  [[nodiscard]] const std::vector<std::string>& texts() const noexcept { return texts_; }

private:
  std::vector<std::string> texts_;
  std::map<std::string, std::size_t> index_;
};

std::string_view kind_name(ScriptVerdict::Kind kind) {
  switch (kind) {
  case ScriptVerdict::Kind::no_op:
    return "no_op";
  case ScriptVerdict::Kind::emulated:
    return "emulated";
  case ScriptVerdict::Kind::unsupported:
    return "unsupported";
  }
  return "unsupported";
}

json kept_json(const fs::FileTree& tree, Strings& strings) {
  std::map<fs::RootPath, std::size_t> place;
  for (const auto& [path, entry] : tree.entries()) {
    if (entry.reason) {
      place.emplace(path, place.size());
    }
  }
  json kept = json::array();
  for (const auto& [path, entry] : tree.entries()) {
    if (!entry.reason) {
      continue;
    }
    json from = -1;
    if (entry.reason->from) {
      const auto index = place.find(*entry.reason->from);
      from = index == place.end() ? json(entry.reason->from->to_string()) : json(index->second);
    }
    kept.push_back({path.to_string(), strings(entry.package), strings(entry.reason->rule),
                    strings(entry.reason->detail), from});
  }
  return kept;
}

json dropped_json(const std::vector<Dropped>& dropped, Strings& strings) {
  std::map<std::pair<std::string, std::string>, json> groups;
  for (const Dropped& item : dropped) {
    groups.try_emplace({item.package, item.reason}, json::array())
        .first->second.push_back({item.what, item.size_bytes});
  }
  json list = json::array();
  for (const auto& [key, files] : groups) {
    list.push_back({strings(key.first), strings(key.second), files});
  }
  return list;
}

json packages_json(const std::vector<KeptPackage>& packages) {
  json list = json::array();
  for (const KeptPackage& package : packages) {
    json item = json::object();
    const auto put = [&](const char* key, const std::string& value) {
      if (!value.empty()) {
        item[key] = value;
      }
    };
    put("name", package.name);
    put("version", package.version);
    put("architecture", package.architecture);
    put("source", package.source);
    put("source_version", package.source_version);
    put("suite", package.suite);
    put("maintainer", package.maintainer);
    put("homepage", package.homepage);
    put("digest", package.digest ? package.digest->to_string() : std::string());
    put("license", package.license.expression);
    if (package.size_bytes != 0) {
      item["size_bytes"] = package.size_bytes;
    }
    list.push_back(std::move(item));
  }
  return list;
}

/// A LicenseRef stands for one text, in whatever package it is.
json licenses_json(const std::vector<KeptPackage>& packages) {
  json texts = json::object();
  for (const KeptPackage& package : packages) {
    for (const auto& [reference, text] : package.license.texts) {
      texts[reference] = text;
    }
  }
  return texts;
}

class Reader {
public:
  Reader(std::string_view text, std::string_view name) : name_(name) {
    if (text.size() > max_record_bytes) {
      fail("larger than 64 MiB");
    }
    const auto shallow = [&](int depth, json::parse_event_t, json&) {
      if (depth > max_depth) {
        fail("nested too deeply");
      }
      return true;
    };
    try {
      document_ = json::parse(text, shallow);
    } catch (const json::exception&) {
      fail("not JSON");
    }
  }

  Record read() {
    try {
      if (document_.at("version") != version) {
        fail("another version of the record");
      }
      document_.at("strings").get_to(strings_);
      Record record;
      read_kept(record);
      read_dropped(record);
      read_scripts(record);
      if (document_.contains("packages")) {
        read_packages(record);
      }
      return record;
    } catch (const json::exception&) {
      fail("a field is missing or of another type");
    }
  }

private:
  [[noreturn]] void fail(std::string_view cause) const {
    throw FormatError(name_, std::nullopt, cause);
  }

  [[nodiscard]] const std::string& string(const json& index) const {
    const auto at = index.get<std::uint64_t>();
    if (!index.is_number_unsigned() || at >= strings_.size()) {
      fail("a text that is not in the table");
    }
    return strings_[at];
  }
  [[nodiscard]] fs::RootPath path(const json& text) const {
    const auto parsed = fs::RootPath::try_parse(text.get_ref<const std::string&>());
    if (!parsed) {
      fail("a path that cannot be in a root");
    }
    return *parsed;
  }

  void read_kept(Record& record) const {
    const json& kept = document_.at("kept");
    for (const json& item : kept) {
      Record::Entry entry{path(item.at(0)),
                          string(item.at(1)),
                          {string(item.at(2)), string(item.at(3)), std::nullopt}};
      const json& from = item.at(4);
      if (from.is_string()) {
        entry.reason.from = path(from);
      } else if (from.is_number_unsigned()) {
        entry.reason.from = path(kept.at(from.get<std::size_t>()).at(0));
      }
      if (!record.kept.empty() && !(record.kept.back().path < entry.path)) {
        fail("kept files that are not sorted");
      }
      record.kept.push_back(std::move(entry));
    }
  }
  void read_dropped(Record& record) const {
    for (const json& group : document_.at("dropped")) {
      for (const json& file : group.at(2)) {
        record.dropped.push_back({file.at(0).get<std::string>(), string(group.at(0)),
                                  file.at(1).get<std::uint64_t>(), string(group.at(1))});
      }
    }
    std::sort(record.dropped.begin(), record.dropped.end(), [](const Dropped& a, const Dropped& b) {
      return std::tie(a.what, a.package) < std::tie(b.what, b.package);
    });
  }
  void read_scripts(Record& record) const {
    for (const json& item : document_.at("scripts")) {
      ScriptVerdict verdict{item.at(0).get<std::string>(), item.at(1).get<std::string>(),
                            item.at(2).get<std::string>(), ScriptVerdict::Kind::unsupported,
                            item.at(4).get<std::string>()};
      const auto& kind = item.at(3).get_ref<const std::string&>();
      bool known = false;
      for (const auto value : {ScriptVerdict::Kind::no_op, ScriptVerdict::Kind::emulated,
                               ScriptVerdict::Kind::unsupported}) {
        if (kind == kind_name(value)) {
          verdict.kind = value;
          known = true;
        }
      }
      if (!known) {
        fail("an unknown kind of script verdict");
      }
      record.scripts.push_back(std::move(verdict));
    }
  }

  void read_packages(Record& record) const {
    const json& licenses = document_.at("licenses");
    auto& packages = record.packages.emplace();
    for (const json& item : document_.at("packages")) {
      KeptPackage package{.name = item.at("name").get<std::string>(),
                          .version = item.at("version").get<std::string>(),
                          .architecture = item.at("architecture").get<std::string>(),
                          .source = item.value("source", ""),
                          .source_version = item.value("source_version", ""),
                          .suite = item.value("suite", ""),
                          .maintainer = item.value("maintainer", ""),
                          .homepage = item.value("homepage", "")};
      if (item.contains("digest")) {
        package.digest = oci::Digest::try_parse(item.at("digest").get_ref<const std::string&>());
        if (!package.digest) {
          fail("a digest that is none");
        }
      }
      if (item.contains("size_bytes")) {
        package.size_bytes = item.at("size_bytes").get<std::uint64_t>();
      }
      package.license = read_license(item.value("license", ""), licenses);
      if (!packages.empty() && !(packages.back().name < package.name)) {
        fail("packages that are not sorted");
      }
      packages.push_back(std::move(package));
    }
  }
  [[nodiscard]] license::License read_license(const std::string& expression,
                                              const json& licenses) const {
    license::License license;
    if (expression == license::no_assertion) {
      return license;
    }
    const auto parsed = license::try_parse_expression(expression);
    if (!parsed) {
      fail("a licence that is no SPDX expression");
    }
    license.expression = *parsed;
    for (const auto& reference : license::references_of(*parsed)) {
      license.texts.emplace(reference, licenses.at(reference).get<std::string>());
    }
    return license;
  }

  std::string name_;
  json document_;
  std::vector<std::string> strings_;
};

} // namespace

std::string write_record(const Composition& composition) {
  Strings strings;
  json document;
  document["version"] = version;
  document["kept"] = kept_json(composition.tree, strings);
  document["dropped"] = dropped_json(composition.dropped, strings);
  document["scripts"] = json::array();
  for (const ScriptVerdict& verdict : composition.scripts) {
    document["scripts"].push_back(
        {verdict.package, verdict.script, verdict.digest, kind_name(verdict.kind), verdict.effect});
  }
  document["packages"] = packages_json(composition.packages);
  document["licenses"] = licenses_json(composition.packages);
  document["strings"] = strings.texts();
  // Names are bytes, JSON is UTF-8: what is not becomes U+FFFD instead of an exception.
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

Record read_record(std::string_view json_text, std::string_view name) {
  return Reader(json_text, name).read();
}

} // namespace aipack::rootfs
