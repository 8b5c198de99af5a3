// Opens any bytes as an OCI archive and as a docker archive, and lists the files of every image in
// them.
#include "aipack/core/error.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/io/file.hpp"

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

namespace {

void open_and_list(const std::string& location) {
  using namespace aipack;
  // Small, so that a header's claims cost nothing.
  image::ReadLimits limits;
  limits.tar = {.max_entries = 1000,
                .max_entry_bytes = std::uint64_t{1} << 20,
                .max_total_bytes = std::uint64_t{4} << 20};
  limits.max_file_bytes = std::uint64_t{1} << 20;
  try {
    const auto source =
        image::ImageSource::open(image::Location::parse(location), Operation{}, limits);
    for (const auto& image : source.images()) {
      for (const auto& [path, file] : image::list_files(image, Operation{}, limits)) {
        (void)image::find_file(image, path, Operation{}, limits);
      }
    }
  } catch (const Error&) { // the one exception that foreign bytes may cause
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int fd = memfd_create("archive", MFD_CLOEXEC);
  if (fd < 0) {
    std::perror("memfd_create");
    return 1;
  }
  aipack::io::File file(fd, "archive");
  file.write(std::as_bytes(std::span(data, size)));
  const auto path = "/proc/self/fd/" + std::to_string(fd);
  open_and_list("oci-archive:" + path);
  open_and_list("docker-archive:" + path);
  return 0;
}
