#pragma once

#include "session.hpp"

#include <memory>
#include <vector>

namespace aipack::registry {

/// Repository::blob(): content behind sessions, asked in order; never empty. `op` must outlive it.
[[nodiscard]] blob::BlobPtr remote_blob(std::vector<std::shared_ptr<Session>> sessions,
                                        const Patience& patience, const oci::Descriptor& descriptor,
                                        const Operation& op);

/// Repository::has_blob() of one endpoint.
[[nodiscard]] bool has_blob(Session& session, const oci::Descriptor& descriptor,
                            const Operation& op);

} // namespace aipack::registry
