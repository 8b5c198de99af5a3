#pragma once

#include <span>
#include <string>

namespace aipack::io {

/// Opens parts[0]/parts[1]/… for reading, part by part with O_NOFOLLOW, so that no symlink is ever
/// followed: the fallback of File::open_beneath where the kernel has no openat2 or a seccomp filter
/// hides it. Returns -1 with errno set (ELOOP: a symlink). `parts` hold no "/", ".." or NUL.
/// `directory` stays the caller's.
int open_beneath_by_parts(int directory, std::span<const std::string> parts);

} // namespace aipack::io
