#pragma once

#include "support/registry_request.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::test {

/// Every request, from the moment its head was read, and how many bytes went into which upload.
/// Counts are raised before bytes can have any effect on the client, so that a test that has its
/// answer finds it in the log.
class RequestLog {
public:
  explicit RequestLog(const std::filesystem::path& file);

  using Entry = std::shared_ptr<RegistryRequest>;
  Entry begin(RegistryRequest request);
  void change(const Entry& entry, const std::function<void(RegistryRequest&)>& change);
  void received(const Entry& entry, std::uint64_t bytes);
  void sent(const Entry& entry, std::uint64_t bytes);
  void finish(const Entry& entry);
  /// The upload turned out to be of this digest.
  void name_upload(const std::string& upload, const std::string& digest);

  [[nodiscard]] std::vector<RegistryRequest> all() const;
  void clear();
  [[nodiscard]] std::uint64_t uploaded() const;
  [[nodiscard]] std::uint64_t uploaded_for(const std::string& digest_or_upload) const;

private:
  [[nodiscard]] std::chrono::microseconds now() const;

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;
  std::ofstream file_;
  std::uint64_t number_ = 0;
  std::vector<Entry> entries_;
  std::uint64_t uploaded_ = 0;
  std::map<std::string, std::uint64_t> uploaded_for_;  ///< by session
  std::multimap<std::string, std::string> uploads_of_; ///< digest to sessions
};

} // namespace aipack::test
