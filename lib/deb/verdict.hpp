#pragma once

#include "keyring.hpp"

namespace aipack::deb {

/// For how long a verdict spares a second one. Apt judges an InRelease file once, when it arrives.
inline constexpr std::int64_t verdict_lifetime = 24 * 60 * 60;

/// Keyring::verify(), remembered in `file`: what was judged good is good for the same bytes, by the
/// same bytes of the keyring, until a signature or a key expires, for a day at most. librnp and
/// its certificates cost more than everything else that a build without changes does. Refusals are
/// not remembered, nor is what cannot be written. The file belongs to the user, like the packages
/// and layers beside it.
[[nodiscard]] SignedText verify_once(const std::filesystem::path& file, Keyring& keyring,
                                     std::string_view message, std::string_view name,
                                     std::int64_t now);

} // namespace aipack::deb
