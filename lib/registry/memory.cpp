#include "memory.hpp"

#include "aipack/core/error.hpp"

#include "json.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace aipack::registry {
namespace {

// The file:
//   { "version": 1, "origin": "https://r.example",
//     "referrers_api": { "value": false, "learnt_at": 1790000000 },
//     "upload": { "learnt_at": …, "single": "works", "stream": …, "chunks": …,
//                 "ranges_lie": false, "chunk_bytes": 0 },
//     "blobs": [ ["sha256:…", "team/a", "team/b"], … ] }        oldest first
constexpr std::uint64_t version = 1;
constexpr std::uint64_t max_file_bytes = std::uint64_t{8} << 20;
constexpr std::size_t max_repository_bytes = 255; // distribution-spec 1.1, "Pulling manifests"

constexpr std::array<const char*, 3> ability_names = {"unknown", "works", "fails"};
constexpr std::array<std::pair<const char*, Ability UploadFacts::*>, 3> abilities = {
    {{"single", &UploadFacts::single},
     {"stream", &UploadFacts::stream},
     {"chunks", &UploadFacts::chunks}}};

/// Throws what makes the whole file count as broken.
void require(bool holds) {
  if (!holds) {
    throw FormatError("memory of a registry", std::nullopt, "it is not as aipack writes it");
  }
}

template <class Value>
Value member(const Json& object, const char* key) {
  const Json* found = find_member(object, key);
  require(found != nullptr);
  if constexpr (std::is_integral_v<Value> && !std::is_same_v<Value, bool>) {
    require(found->is_number_unsigned() && found->get<std::uint64_t>() <= INT64_MAX);
  }
  return found->get<Value>(); // throws for another type
}

Ability ability_of(const std::string& name) {
  const auto found = std::ranges::find(ability_names, name);
  require(found != ability_names.end());
  return static_cast<Ability>(found - ability_names.begin());
}

} // namespace

void EndpointMemory::Data::saw(const oci::Digest& digest, const std::string& repository) {
  Blob& blob = blobs[digest];
  std::erase(blob.repositories, repository);
  blob.repositories.insert(blob.repositories.begin(), repository);
  if (blob.repositories.size() > max_repositories) {
    blob.repositories.pop_back();
  }
  blob.order = next_order++;
}

void EndpointMemory::Data::missed(const oci::Digest& digest, const std::string& repository) {
  const auto found = blobs.find(digest);
  if (found == blobs.end()) {
    return;
  }
  std::erase(found->second.repositories, repository);
  if (found->second.repositories.empty()) {
    blobs.erase(found);
  }
}

void EndpointMemory::Data::forget_oldest() {
  if (blobs.size() <= max_blobs) {
    return;
  }
  std::vector<std::uint64_t> orders;
  for (const auto& [digest, blob] : blobs) {
    orders.push_back(blob.order);
  }
  const auto first_kept = orders.end() - static_cast<std::ptrdiff_t>(max_blobs);
  std::nth_element(orders.begin(), first_kept, orders.end());
  std::erase_if(blobs, [&](const auto& entry) { return entry.second.order < *first_kept; });
}

EndpointMemory::Data EndpointMemory::parse(std::string_view text, std::string_view origin) {
  const Json json = parse_answer(text, "memory of a registry");
  require(member<std::uint64_t>(json, "version") == version);
  require(member<std::string>(json, "origin") == origin);
  Data data;
  if (const Json* fact = find_member(json, "referrers_api")) {
    data.has_referrers_api = {member<bool>(*fact, "value"),
                              member<std::int64_t>(*fact, "learnt_at")};
  }
  if (const Json* fact = find_member(json, "upload")) {
    UploadFacts facts;
    for (const auto& [name, ability] : abilities) {
      facts.*ability = ability_of(member<std::string>(*fact, name));
    }
    facts.ranges_lie = member<bool>(*fact, "ranges_lie");
    facts.chunk_bytes = member<std::uint64_t>(*fact, "chunk_bytes");
    data.upload = {facts, member<std::int64_t>(*fact, "learnt_at")};
  }
  if (const Json* blobs = find_member(json, "blobs")) {
    require(blobs->is_array());
    for (const Json& entry : *blobs) {
      require(entry.is_array() && entry.size() >= 2 && entry.size() <= 1 + max_repositories);
      const oci::Digest digest = oci::Digest::parse(entry.at(0).get<std::string>());
      for (std::size_t i = entry.size() - 1; i > 0; --i) {
        const auto repository = entry.at(i).get<std::string>();
        require(!repository.empty() && repository.size() <= max_repository_bytes);
        data.saw(digest, repository);
      }
    }
  }
  data.forget_oldest();
  return data;
}

std::string EndpointMemory::to_text(const Data& data, std::string_view origin) {
  Json json;
  json["version"] = version;
  json["origin"] = origin;
  if (data.has_referrers_api) {
    json["referrers_api"] = {{"value", data.has_referrers_api->value},
                             {"learnt_at", data.has_referrers_api->learnt_at}};
  }
  if (data.upload) {
    Json& fact = json["upload"] = {{"learnt_at", data.upload->learnt_at}};
    const UploadFacts& facts = data.upload->value;
    for (const auto& [name, ability] : abilities) {
      fact[name] = ability_names.at(static_cast<std::size_t>(facts.*ability));
    }
    fact["ranges_lie"] = facts.ranges_lie;
    fact["chunk_bytes"] = facts.chunk_bytes;
  }
  std::vector<const std::pair<const oci::Digest, Blob>*> sorted;
  for (const auto& entry : data.blobs) {
    sorted.push_back(&entry);
  }
  std::ranges::sort(sorted, {}, [](const auto* entry) { return entry->second.order; });
  Json& blobs = json["blobs"] = Json::array();
  for (const auto* entry : sorted) {
    Json line = Json::array({entry->first.to_string()});
    for (const std::string& repository : entry->second.repositories) {
      line.push_back(repository);
    }
    blobs.push_back(std::move(line));
  }
  return json.dump();
}

EndpointMemory::EndpointMemory(std::filesystem::path file, std::string origin, Clock clock)
    : file_(std::move(file)), origin_(std::move(origin)),
      clock_(clock ? std::move(clock) : Clock([] {
        return std::chrono::duration_cast<std::chrono::seconds>(
                   std::chrono::system_clock::now().time_since_epoch())
            .count();
      })),
      data_(load()) {}

EndpointMemory::~EndpointMemory() {
  save();
}

std::unique_ptr<io::FileLock> EndpointMemory::lock_tag(const std::string& name,
                                                       const Operation& op) const {
  if (file_.empty()) {
    return nullptr;
  }
  const auto directory = file_.parent_path().parent_path() / "turns";
  const auto file = oci::Digest::of(origin_ + " " + name).hex().substr(0, 32) + ".lock";
  try {
    std::filesystem::create_directories(directory);
    return std::make_unique<io::FileLock>(directory / file, op, io::FileLock::Afterwards::remove);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) {
      throw;
    }
  } catch (const std::filesystem::filesystem_error&) { // NOLINT(bugprone-empty-catch)
  }
  return nullptr; // a state that cannot be written is none
}

std::filesystem::path EndpointMemory::file_in(const std::filesystem::path& state_dir,
                                              std::string_view origin) {
  std::string name(origin);
  std::ranges::replace_if(
      name,
      [](char c) {
        return !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-');
      },
      '_');
  return state_dir / "endpoints" / (name + ".json");
}

EndpointMemory::Data EndpointMemory::load() const noexcept {
  try {
    return file_.empty() ? Data{} : parse(io::read_text_file(file_, max_file_bytes), origin_);
  } catch (const std::exception&) { // absent, unreadable, too large, of another version, broken
    return {};
  }
}

template <class Value>
bool EndpointMemory::is_fresh(const std::optional<Fact<Value>>& fact, std::int64_t age) const {
  const std::int64_t now = clock_();
  return fact && fact->learnt_at <= now && now - fact->learnt_at < age;
}

std::optional<bool> EndpointMemory::has_referrers_api() const {
  const std::lock_guard lock(mutex_);
  return is_fresh(data_.has_referrers_api, referrers_age)
             ? std::optional(data_.has_referrers_api->value)
             : std::nullopt;
}

void EndpointMemory::set_has_referrers_api(bool value) {
  if (has_referrers_api() == value) {
    return;
  }
  const std::lock_guard lock(mutex_);
  data_.has_referrers_api = {value, clock_()};
  changed_ = true;
}

UploadFacts EndpointMemory::upload_facts() const {
  const std::lock_guard lock(mutex_);
  return is_fresh(data_.upload, upload_facts_age) ? data_.upload->value : UploadFacts{};
}

void EndpointMemory::set_upload_facts(const UploadFacts& facts) {
  if (upload_facts() == facts) {
    return;
  }
  const std::lock_guard lock(mutex_);
  data_.upload = {facts, clock_()};
  changed_ = true;
}

std::vector<std::string> EndpointMemory::repositories_with(const oci::Digest& digest,
                                                           std::string_view but) const {
  const std::lock_guard lock(mutex_);
  const auto found = data_.blobs.find(digest);
  if (found == data_.blobs.end()) {
    return {};
  }
  std::vector<std::string> repositories = found->second.repositories;
  std::erase(repositories, but);
  return repositories;
}

void EndpointMemory::saw_blob(const oci::Digest& digest, const std::string& repository) {
  if (repository.empty() || repository.size() > max_repository_bytes) {
    return;
  }
  const std::lock_guard lock(mutex_);
  data_.saw(digest, repository);
  data_.forget_oldest();
  sightings_.push_back({digest, repository, true});
}

void EndpointMemory::missed_blob(const oci::Digest& digest, const std::string& repository) {
  const std::lock_guard lock(mutex_);
  data_.missed(digest, repository);
  sightings_.push_back({digest, repository, false});
}

void EndpointMemory::save() noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (file_.empty() || (!changed_ && sightings_.empty())) {
      return;
    }
    std::filesystem::create_directories(file_.parent_path());
    auto lock_path = file_;
    const io::FileLock between_processes(lock_path += ".lock", Operation{});
    Data merged = load();
    const auto take_newer = [](auto& theirs, const auto& ours) {
      if (ours && (!theirs || theirs->learnt_at <= ours->learnt_at)) {
        theirs = ours;
      }
    };
    take_newer(merged.has_referrers_api, data_.has_referrers_api);
    take_newer(merged.upload, data_.upload);
    for (const auto& [digest, repository, there] : sightings_) {
      there ? merged.saw(digest, repository) : merged.missed(digest, repository);
    }
    merged.forget_oldest();
    io::write_file_atomically(file_, io::as_bytes(to_text(merged, origin_)), io::Durability::cached,
                              0600);
    data_ = std::move(merged);
    sightings_.clear();
    changed_ = false;
  } catch (const std::exception&) {
    // What cannot be kept is learnt again next time.
  }
}

} // namespace aipack::registry
