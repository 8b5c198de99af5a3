#include "answer_memo.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/overloaded.hpp"
#include "aipack/io/byte_stream.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/oci/digest.hpp"

#include "solv.hpp"
#include "universe.hpp"

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace aipack::solve {
namespace {

using nlohmann::json;

constexpr std::uint64_t max_answer_bytes = std::uint64_t{64} << 20;

std::string key_of(const deb::PackageIndex& index, const Request& request) {
  json key{{"answer_version", answer_version},
           {"libsolv", solv::library_version()},
           {"platform", index.platform.to_string()},
           {"install", request.install},
           {"assume_installed", request.assume_installed}};
  json indexes = json::array();
  for (const deb::IndexFile& file : index.indexes) {
    indexes.push_back(
        {file.source.suite, file.component, file.architecture, file.digest.to_string()});
  }
  key["indexes"] = std::move(indexes);
  return key.dump();
}

// Which index a package was taken from, and its path below the mirror: a URL begins with the mirror
// of exactly such an index.
std::pair<std::size_t, std::string> place_of(const deb::PackageIndex& index,
                                             const deb::Package& package) {
  for (std::size_t i = 0; i < index.indexes.size(); ++i) {
    const deb::IndexFile& file = index.indexes[i];
    const std::string root = package_url(file, "");
    if (file.source.suite == package.source_suite && package.url.starts_with(root)) {
      return {i, package.url.substr(root.size())};
    }
  }
  throw Error(ErrorCode::internal, "cannot keep an answer: a package belongs to no index");
}

json to_json(const deb::PackageIndex& index, const Solution& solution) {
  json choices = json::array();
  for (const Choice& choice : solution.choices) {
    const deb::Package& package = choice.package;
    auto [number, path] = place_of(index, package);
    choices.push_back({{"name", package.name},
                       {"version", package.version},
                       {"architecture", package.architecture},
                       {"index", number},
                       {"path", std::move(path)},
                       {"digest", package.digest.to_string()},
                       {"size_bytes", package.size_bytes},
                       {"installed_bytes", package.installed_bytes},
                       {"section", package.section},
                       {"required_by", choice.required_by},
                       {"relation", choice.relation}});
  }
  return {{"choices", std::move(choices)}, {"assumed", solution.assumed}};
}

Solution solution_from(const json& document, const deb::PackageIndex& index) {
  Solution solution;
  for (const json& item : document.at("choices")) {
    const deb::IndexFile& file = index.indexes.at(item.at("index").get<std::size_t>());
    solution.choices.push_back(
        {.package = {.name = item.at("name"),
                     .version = item.at("version"),
                     .architecture = item.at("architecture"),
                     .source_suite = file.source.suite,
                     .url = package_url(file, item.at("path").get<std::string>()),
                     .digest = oci::Digest::parse(item.at("digest").get<std::string>()),
                     .size_bytes = item.at("size_bytes"),
                     .installed_bytes = item.at("installed_bytes"),
                     .section = item.at("section")},
         .required_by = item.at("required_by"),
         .relation = item.at("relation")});
  }
  solution.assumed = document.at("assumed").get<std::vector<std::pair<std::string, std::string>>>();
  return solution;
}

} // namespace

AnswerMemo::AnswerMemo(const std::filesystem::path& cache_dir, const deb::PackageIndex& index,
                       const Request& request)
    : index_(index) {
  if (!cache_dir.empty()) {
    key_text_ = key_of(index, request);
    path_ = cache_dir / "answers" / (oci::Digest::of(key_text_).hex() + ".json");
  }
}

std::optional<Outcome> AnswerMemo::read() const {
  if (path_.empty()) {
    return std::nullopt;
  }
  try {
    const std::string text = io::read_text_file(path_, max_answer_bytes);
    const std::size_t line = text.find('\n');
    if (line == std::string::npos ||
        oci::Digest::of(std::string_view(text).substr(line + 1)).to_string() !=
            text.substr(0, line)) {
      return std::nullopt;
    }
    const json document = json::parse(std::string_view(text).substr(line + 1));
    if (document.at("key") != key_text_) {
      return std::nullopt;
    }
    if (document.contains("unsolvable")) {
      return Unsolvable{document.at("unsolvable").get<std::vector<std::string>>()};
    }
    return solution_from(document.at("solution"), index_);
  } catch (const Error&) {
    return std::nullopt; // absent, as a rule
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const std::out_of_range&) {
    return std::nullopt;
  }
}

void AnswerMemo::write(const Outcome& outcome) const {
  if (path_.empty()) {
    return;
  }
  json document{{"key", key_text_}};
  std::visit(
      overloaded{
          [&](const Solution& solution) { document["solution"] = to_json(index_, solution); },
          [&](const Unsolvable& unsolvable) { document["unsolvable"] = unsolvable.explanation; }},
      outcome);
  // Versions and names of an index are ASCII; a stray byte in a section is replaced rather than
  // fatal.
  const std::string body = document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  const std::string text = oci::Digest::of(body).to_string() + "\n" + body;
  try {
    io::write_file_atomically(path_, io::as_bytes(text));
  } catch (const Error&) {
    return;
  }
}

} // namespace aipack::solve
