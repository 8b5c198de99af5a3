#pragma once

#include "root.hpp"

#include <map>
#include <set>
#include <string>

namespace aipack::rootfs {

/// What every root has whatever runs in it. Rules 12-15, 19, 20, 25, 27.
void add_skeleton(Root& root);

/// /etc/nsswitch.conf from libc-bin's template. Rule 19.
void add_name_service(Root& root);

/// The CA bundle and the links by which OpenSSL finds it. Rules 21, 22. Nothing without package
/// ca-certificates.
void add_certificates(Root& root);

/// /etc/localtime, once something of tzdata is kept. Rule 24.
void add_local_time(Root& root);

/// The directories and links that tmpfiles.d files of packages with kept files ask for. Rule 39.
void apply_tmpfiles(Root& root, const std::set<std::string>& packages_with_files);

/// /etc/ld.so.cache over the kept libraries. Rule 28.
void add_loader_cache(Root& root, const std::map<fs::RootPath, std::string>& sonames);

} // namespace aipack::rootfs
