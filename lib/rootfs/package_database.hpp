#pragma once

#include "root.hpp"

#include <set>
#include <string>

namespace aipack::rootfs {

/// Names of packages with a kept file, links included, directories not.
[[nodiscard]] std::set<std::string> packages_with_kept_files(const Root& root);

/// Keeps /usr/share/doc/<package>/copyright of every package with kept files, through links to
/// other packages' directories. Rule 36.
void keep_copyrights(Root& root);

/// /var/lib/dpkg/status.d/<package> and <package>.md5sums for every package with kept files. Rules
/// 31-35. Source: the format that distroless images introduced, as trivy, syft and grype read it.
void write_package_database(Root& root);

} // namespace aipack::rootfs
