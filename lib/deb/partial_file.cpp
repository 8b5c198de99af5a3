#include "partial_file.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace aipack::deb {
namespace {

io::File open_or_create(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) {
    throw_errno(fmt::format("write {}", aipack::quoted(path.string())), errno);
  }
  return {fd, path.string()};
}

} // namespace

PartialFile::PartialFile(std::filesystem::path path, std::uint64_t expected_bytes,
                         Activity& activity, const Operation& op)
    : path_(std::move(path)), file_(open_or_create(path_)), activity_(activity) {
  const std::uint64_t present = file_.size();
  if (present == 0) {
    return;
  }
  if (present > expected_bytes) {
    reset();
    return;
  }
  std::vector<std::byte> buffer(io::copy_buffer_bytes);
  while (size_ < present) {
    op.check();
    const std::size_t got = file_.read_at(size_, buffer);
    if (got == 0) {
      break;
    }
    hash_.update(std::span(buffer).first(got));
    size_ += got;
  }
  activity_.advance(size_);
}

void PartialFile::write(std::span<const std::byte> bytes) {
  file_.write_at(size_, bytes);
  hash_.update(bytes);
  size_ += bytes.size();
  activity_.advance(bytes.size());
}

void PartialFile::reset() {
  if (::ftruncate(file_.fd(), 0) != 0) {
    throw_errno(fmt::format("write {}", aipack::quoted(path_.string())), errno);
  }
  hash_ = codec::Sha256();
  size_ = 0;
  activity_.restart();
}

void PartialFile::commit(const std::filesystem::path& path) {
  if (::rename(path_.c_str(), path.c_str()) != 0) {
    throw_errno(fmt::format("write {}", aipack::quoted(path.string())), errno);
  }
  committed_ = true;
}

PartialFile::~PartialFile() {
  if (!committed_ && size_ == 0) {
    ::unlink(path_.c_str());
  }
}

} // namespace aipack::deb
