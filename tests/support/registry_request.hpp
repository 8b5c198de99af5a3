#pragma once

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::test {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The test registry listens on four ports, because what may be sent to one origin must not reach
/// another: the API, its token server, the storage that signed URLs lead to, and a stranger.
enum class Origin { registry, token, storage, foreign };

/// One request as the registry saw it, and what became of it. Headers are kept as sent, secrets
/// included: tests look for them.
struct RegistryRequest {
  std::uint64_t number = 0; ///< from 1, in order of arrival
  Origin origin = Origin::registry;
  unsigned connection = 0; ///< number of the TCP connection, from 1
  std::string method;
  std::string target; ///< path with query, as sent
  std::string path;   ///< percent-decoded, without the query
  Headers headers;
  std::string repository{};          ///< empty if the path names none
  std::string digest{};              ///< named by the path or by ?digest= or ?mount=
  std::string reference{};           ///< tag or digest of a manifest request
  std::string upload{};              ///< id of the upload session
  int status = 0;                    ///< 0: no reply was begun (yet)
  std::uint64_t received = 0;        ///< bytes of the request's body
  std::uint64_t sent = 0;            ///< bytes of the reply's body
  std::string fault{};               ///< name of the fault that was applied, or empty
  bool finished = false;             ///< the reply was sent, or the connection is lost
  std::chrono::microseconds began{}; ///< since the server's start
  std::chrono::microseconds ended{}; ///< since the server's start, once finished

  [[nodiscard]] std::optional<std::string> header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (std::equal(key.begin(), key.end(), name.begin(), name.end(),
                     [](unsigned char a, unsigned char b) {
                       return std::tolower(a) == std::tolower(b);
                     })) {
        return value;
      }
    }
    return std::nullopt;
  }
  /// Whether a body is announced.
  [[nodiscard]] bool has_body() const {
    return header("Transfer-Encoding").has_value() || header("Content-Length").value_or("0") != "0";
  }
};

} // namespace aipack::test
