#pragma once

#include "memory.hpp"
#include "session.hpp"

#include <chrono>
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

/// How long an update of the index of referrers is watched. See update_index().
struct Settling {
  std::chrono::milliseconds shortest{500};
  std::chrono::milliseconds longest{10'000};
  unsigned windows = 4;  ///< of the time from reading to writing, as measured
  unsigned writes = 100; ///< then it is given up
};

/// After `document` was stored and `answer` came back: makes sure that it is found from its
/// subject, if it has one.
SubjectReport publish_subject(Session& session, EndpointMemory& memory, const Document& document,
                              const http::Response& answer, const oci::Reference& repository,
                              const Operation& op, const Settling& settling = {});

} // namespace aipack::registry
