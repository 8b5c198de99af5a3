#pragma once

#include "aipack/http/url.hpp"
#include "aipack/registry/error.hpp"

#include <string>
#include <string_view>

namespace aipack::registry {

inline constexpr unsigned max_redirects = 5;

/// Whether a server may send us to `to`, from `from` (empty: it named the place in an answer, a
/// Location or a realm). Throws RegistryError{denied} when it is
///
/// - neither http nor https,
/// - http, though `endpoint` or `from` is https,
/// - an address of this machine or a private network, written as a number or as localhost, unless
///   it is the endpoint's own host: a registry must not be able to use aipack's place in a network.
///
/// `what` names the thing for the message, "redirect", "token server"; `verb` as Call::verb.
void check_destination(const http::Origin& endpoint, std::string_view from, std::string_view to,
                       std::string_view what, std::string_view verb);

} // namespace aipack::registry
