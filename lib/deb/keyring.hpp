#pragma once

#include "aipack/oci/digest.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::deb {

inline constexpr std::uint64_t max_keyring_bytes = std::uint64_t{4} << 20;

/// What a clear signature covers, and who vouches for it.
struct SignedText {
  std::string text; ///< the signed bytes as librnp gives them back: dash escapes removed, nothing
                    ///< from outside
  std::vector<std::string>
      signed_by;                ///< fingerprints of the keys (subkeys) of good signatures, sorted
  std::int64_t valid_until = 0; ///< the last of these signatures is good before this time
};

/// Public keys that may sign an archive. The fence around librnp: nothing else includes its header.
/// Threads: any; librnp's part takes turns.
class Keyring {
public:
  /// Reads the files; librnp gets a certificate when a message names it, because it takes up to
  /// 16 ms for each of Debian's. Throws Error{not_found} when none of the default keyrings exists.
  static std::shared_ptr<Keyring> open(std::span<const std::filesystem::path> files);
  ~Keyring();
  Keyring(const Keyring&) = delete;
  Keyring& operator=(const Keyring&) = delete;

  /// Checks the clear signature around `message`. At least one signature must be good: by a key of
  /// this keyring that is neither revoked nor expired at `now`, over a strong hash, not expired
  /// itself. Nothing but white space may follow the message. Throws Error{corrupt}; `name` is what
  /// it calls the message. The signers are those that were looked at: one good one is
  /// enough.
  [[nodiscard]] SignedText verify(std::string_view message, std::string_view name,
                                  std::int64_t now);

  /// Of the bytes of its files: the same keys judge alike.
  [[nodiscard]] const oci::Digest& digest() const noexcept;

private:
  struct State;
  explicit Keyring(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace aipack::deb
