#pragma once

#include "aipack/sign/statement.hpp"
#include "aipack/sign/verify.hpp"

#include <string>
#include <string_view>

/// What is checked of a signature beside who made it. All throw Error{corrupt} with the reason.
namespace aipack::sign {

/// Throws Error{invalid_input} for a policy that cannot be meant.
void check_policy(const Policy& policy);

void check_digest(const oci::Digest& expected, const oci::Digest& claimed);
/// The subject that is the image.
[[nodiscard]] const Subject& find_subject(const Statement& statement, const oci::Digest& expected);
void check_annotations(const oci::Annotations& required, const oci::Annotations& present);
/// Of a format that names the image: `claimed` is what it says.
void check_reference(const Policy& policy, std::string_view claimed);
/// Of a format that does not.
void check_no_reference_asked(const Policy& policy, std::string_view format);
/// Empty when the predicate fulfils the rule; else the first thing that it does not.
[[nodiscard]] std::string unmet_field(const AttestationRule& rule, const std::string& predicate);
/// True when the certificate's subject has every attribute of the rule; "*" is everybody.
[[nodiscard]] bool matches_subject(const Certificate& certificate, std::string_view rule);

} // namespace aipack::sign
