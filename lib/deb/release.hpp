#pragma once

#include "aipack/deb/archive.hpp"

#include "keyring.hpp"

#include <functional>

namespace aipack::deb {

inline constexpr std::size_t max_release_files = 200'000;

/// Reads the signed text of a Release file. `digest` and `signed_by` are left to the caller. Throws
/// FormatError{corrupt}.
[[nodiscard]] Release parse_release(std::string_view text, std::string_view suite);

/// Refuses a release that is for another suite (Error{corrupt}), and one that is expired or from
/// the future (Error{unavailable}).
void check_release(const Release& release, const VerifyOptions& options);

/// Takes an InRelease file and its name, and gives what is signed in it (Keyring::verify()).
using Verify = std::function<SignedText(std::string_view in_release, std::string_view name)>;

/// verify_release() by another judge.
[[nodiscard]] Release verify_release(std::string_view in_release, std::string_view suite,
                                     const Verify& verify, const VerifyOptions& options);

/// "2026-11-26 02:12:54 UTC".
[[nodiscard]] std::string to_date_text(std::int64_t seconds);

} // namespace aipack::deb
