#include "support/registry/log.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

namespace aipack::test {
namespace {

std::string_view to_string(Origin origin) {
  switch (origin) {
  case Origin::registry:
    return "registry";
  case Origin::token:
    return "token";
  case Origin::storage:
    return "storage";
  case Origin::foreign:
    break;
  }
  return "foreign";
}

std::string to_json(const RegistryRequest& request) {
  nlohmann::ordered_json headers = nlohmann::ordered_json::array();
  for (const auto& [name, value] : request.headers) {
    headers.push_back({name, value});
  }
  const nlohmann::ordered_json line = {{"number", request.number},
                                       {"origin", to_string(request.origin)},
                                       {"connection", request.connection},
                                       {"method", request.method},
                                       {"target", request.target},
                                       {"status", request.status},
                                       {"received", request.received},
                                       {"sent", request.sent},
                                       {"repository", request.repository},
                                       {"reference", request.reference},
                                       {"digest", request.digest},
                                       {"upload", request.upload},
                                       {"fault", request.fault},
                                       {"began_us", request.began.count()},
                                       {"ended_us", request.ended.count()},
                                       {"headers", headers}};
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace

RequestLog::RequestLog(const std::filesystem::path& file) {
  if (!file.empty()) {
    file_.open(file, std::ios::app);
    if (!file_) {
      throw std::runtime_error("test registry: cannot write " + file.string());
    }
  }
}

std::chrono::microseconds RequestLog::now() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                               start_);
}

RequestLog::Entry RequestLog::begin(RegistryRequest request) {
  const std::lock_guard lock(mutex_);
  request.number = ++number_;
  request.began = now();
  entries_.push_back(std::make_shared<RegistryRequest>(std::move(request)));
  return entries_.back();
}

void RequestLog::change(const Entry& entry, const std::function<void(RegistryRequest&)>& change) {
  const std::lock_guard lock(mutex_);
  change(*entry);
}

void RequestLog::received(const Entry& entry, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  entry->received += bytes;
  if (!entry->upload.empty()) {
    uploaded_ += bytes;
    uploaded_for_[entry->upload] += bytes;
  }
}

void RequestLog::sent(const Entry& entry, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  entry->sent += bytes;
}

void RequestLog::finish(const Entry& entry) {
  const std::lock_guard lock(mutex_);
  entry->finished = true;
  entry->ended = now();
  if (file_.is_open()) {
    file_ << to_json(*entry) << '\n' << std::flush;
  }
}

void RequestLog::name_upload(const std::string& upload, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  const auto [first, last] = uploads_of_.equal_range(digest);
  if (std::none_of(first, last, [&](const auto& item) { return item.second == upload; })) {
    uploads_of_.emplace(digest, upload);
  }
}

std::vector<RegistryRequest> RequestLog::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<RegistryRequest> out;
  out.reserve(entries_.size());
  for (const auto& entry : entries_) {
    out.push_back(*entry);
  }
  return out;
}

void RequestLog::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  uploaded_ = 0;
  uploaded_for_.clear();
}

std::uint64_t RequestLog::uploaded() const {
  const std::lock_guard lock(mutex_);
  return uploaded_;
}

std::uint64_t RequestLog::uploaded_for(const std::string& digest_or_upload) const {
  const std::lock_guard lock(mutex_);
  const auto of_session = [&](const std::string& id) {
    const auto found = uploaded_for_.find(id);
    return found == uploaded_for_.end() ? 0 : found->second;
  };
  std::uint64_t sum = of_session(digest_or_upload);
  const auto [first, last] = uploads_of_.equal_range(digest_or_upload);
  for (auto item = first; item != last; ++item) {
    sum += of_session(item->second);
  }
  return sum;
}

} // namespace aipack::test
