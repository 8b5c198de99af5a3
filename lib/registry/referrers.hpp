#pragma once

#include "memory.hpp"
#include "session.hpp"
#include "tag_update.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

inline constexpr std::uint64_t max_referrers_page_bytes = std::uint64_t{8} << 20;

/// Repository::referrers(). `name` is what messages call the subject.
[[nodiscard]] std::vector<Referrer> list_referrers(Session& session, EndpointMemory& memory,
                                                   const oci::Digest& subject,
                                                   std::string_view artifact_type,
                                                   const std::string& name, const Operation& op);

/// After `document` was stored and `answer` came back: makes sure that it is found from its
/// subject, if it has one.
SubjectReport publish_subject(Session& session, EndpointMemory& memory, const Document& document,
                              const http::Response& answer, const oci::Reference& repository,
                              const Operation& op, const Settling& settling = {});

} // namespace aipack::registry
