#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/temp_file.hpp"

#include "temp_name.hpp"

#include <cerrno>
#include <system_error>

#include <sys/stat.h>

namespace aipack::io {

TempDirectory::TempDirectory(const std::filesystem::path& parent) {
  for (;;) {
    auto path = temp_name(parent);
    if (::mkdir(path.c_str(), 0700) == 0) {
      path_ = std::move(path);
      return;
    }
    if (errno != EEXIST) {
      throw_errno("create a directory in " + quoted(parent.string()), errno);
    }
  }
}

TempDirectory::~TempDirectory() {
  std::error_code ignored; // a destructor has nobody to tell
  std::filesystem::remove_all(path_, ignored);
}

} // namespace aipack::io
