#pragma once

#include "keyring.hpp"

#include <mutex>
#include <optional>

namespace aipack::deb {

/// For how long a verdict spares a second one. Apt judges an InRelease file once, when it arrives.
inline constexpr std::int64_t verdict_lifetime = 24 * 60 * 60;

/// What librnp judged good, remembered: librnp and its certificates cost more than everything else
/// that a build without changes does. A verdict counts for the same bytes, by the same bytes of the
/// keyring, until a signature or a key expires, for a day at most. Verdicts lie in the cache, so
/// they are sealed with a key of the user's that lies elsewhere: whoever can change or bring in a
/// cache cannot make one. Refusals are not remembered. Threads: any.
class Verdicts {
public:
  /// The key is made when it is missing. Empty, or one that cannot be read and written by the user
  /// alone: nothing is remembered.
  explicit Verdicts(std::filesystem::path key_file) : key_file_(std::move(key_file)) {}

  /// Keyring::verify(), or what it said before by `file`.
  [[nodiscard]] SignedText verify_once(const std::filesystem::path& file, Keyring& keyring,
                                       std::string_view message, std::string_view name,
                                       std::int64_t now);

private:
  /// Empty: there is none.
  const std::string& key();

  const std::filesystem::path key_file_;
  std::mutex mutex_;
  std::optional<std::string> key_;
};

} // namespace aipack::deb
