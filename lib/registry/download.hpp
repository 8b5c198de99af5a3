#pragma once

#include "session.hpp"

namespace aipack::registry {

/// Repository::download() from one endpoint. What arrived stays in the store's `partial/` when the
/// endpoint fails, so that another one (a mirror), or the next call, goes on from there.
DownloadReport download_blob(Session& session, const Patience& patience,
                             const oci::Descriptor& descriptor, blob::DirectoryStore& store,
                             const Operation& op);

} // namespace aipack::registry
