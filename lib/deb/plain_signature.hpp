#pragma once

#include "keyring.hpp"
#include "openpgp.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::deb {

/// Says yes to clear signatures that are good beyond doubt, and nothing about all others.
///
/// Why beside librnp: with Botan 2 it loads an RSA key for each signature that it checks, 2 ms
/// each, and checks all of a keyring's own before it looks at the message: 80 to 130 ms for
/// Debian's. Here the message names the keys that are looked at, and OpenSSL takes 0.05 ms for each
/// signature.
///
/// A key vouches here when its certificate leaves nothing to judge:
///  - its ID and that of its primary key occur once in all of the keyring;
///  - every packet of the certificate is plain, nothing in it revokes anything;
///  - a certification by itself that holds (for a subkey also a binding by the primary key, and one
///    the other way round) says that it may sign;
///  - every signature by itself, whether it holds or not, says so or says nothing, and none has
///    expired or was made after `now`: a signature that was not checked can only take away.
///
/// Threads: any.
class PlainKeyring {
public:
  /// Of the content of keyring files. When one of them is not plain, for example armoured, nothing
  /// is verified here.
  explicit PlainKeyring(std::vector<std::string> files);
  ~PlainKeyring() = default;
  PlainKeyring(const PlainKeyring&) = delete;
  PlainKeyring& operator=(const PlainKeyring&) = delete;

  /// The signed text, when one good signature is by a key that vouches at `now` (seconds since the
  /// epoch), and no other signature by a known key leaves anything to judge. `message` has the
  /// frame of a clear-signed message (check_frame()).
  [[nodiscard]] std::optional<SignedText> verify(std::string_view message, std::int64_t now) const;

private:
  /// A primary key with what follows it.
  struct Certificate {
    std::vector<openpgp::Packet> packets{}; ///< behind the primary key
    std::vector<openpgp::PublicKey> keys{}; ///< the primary key first
  };
  struct KeyPlace {
    std::size_t certificate;
    std::size_t key; ///< 0: the primary key
  };

  [[nodiscard]] bool add(std::string_view bytes);
  /// Of all keys with that ID.
  [[nodiscard]] std::vector<KeyPlace> places_of(std::string_view id) const;
  /// True when the key vouches at `now`.
  [[nodiscard]] bool vouches(KeyPlace place, std::int64_t now) const;

  std::vector<std::string> files_; ///< `certificates_` points into them
  std::vector<Certificate> certificates_;
  bool is_plain_ = true;
};

} // namespace aipack::deb
