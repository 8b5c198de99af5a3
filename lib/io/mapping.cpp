#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include <cerrno>
#include <utility>

#include <sys/mman.h>

namespace aipack::io {

Mapping::Mapping(const File& file) {
  const auto size = static_cast<std::size_t>(file.size());
  if (size == 0) {
    return; // mmap(2) refuses an empty length
  }
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd(), 0);
  if (address == MAP_FAILED) { // NOLINT: the macro's own cast
    throw_errno("map " + quoted(file.name()), errno);
  }
  bytes_ = {static_cast<const std::byte*>(address), size};
}

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (!bytes_.empty()) {
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
}

} // namespace aipack::io
