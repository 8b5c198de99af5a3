#pragma once

#include "aipack/trust/verification.hpp"

namespace aipack::trust {

/// The candidates among what a listing names.
[[nodiscard]] std::vector<sign::Candidate>
read_attachments(transfer::Origin& origin, const oci::Descriptor& image,
                 std::vector<transfer::Attachment> attachments, unsigned concurrency,
                 const Operation& op);

} // namespace aipack::trust
