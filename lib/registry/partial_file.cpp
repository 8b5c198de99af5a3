#include "partial_file.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <cerrno>
#include <string>
#include <system_error>

#include <sys/statvfs.h>
#include <unistd.h>

namespace aipack::registry {
namespace {

std::filesystem::path directory_in(const blob::DirectoryStore& store) {
  return store.root() / "partial";
}

void resize(io::File& file, std::uint64_t size) {
  if (::ftruncate(file.fd(), static_cast<off_t>(size)) != 0) {
    throw_errno("resize " + quoted(file.name()), errno);
  }
}

} // namespace

PartialFile PartialFile::open(const blob::DirectoryStore& store, const oci::Descriptor& descriptor,
                              const Operation& op) {
  const auto directory = directory_in(store);
  for (;;) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) {
      throw_errno("create the directory " + quoted(directory.string()), error.value());
    }
    remove_older_than(directory, keep_unfinished);
    try {
      PartialFile file(LockedFile::open(directory / descriptor.digest.hex(), op),
                       descriptor.size_bytes);
      file.load();
      return file;
    } catch (const Error& missing) {
      // Whoever finished last removed the directory before our file was in it.
      if (missing.code() != ErrorCode::not_found) {
        throw;
      }
    }
  }
}

void PartialFile::load() {
  std::string text(map_.to_string().size(), '\0');
  if (file_.file().size() == size_ + text.size()) {
    const std::size_t count =
        file_.file().read_at(size_, std::as_writable_bytes(std::span(text.data(), text.size())));
    if (auto found = BlockMap::parse(std::string_view(text).substr(0, count), size_)) {
      map_ = std::move(*found);
      check_room();
      return;
    }
  }
  reset();
  check_room();
}

/// Better now than after gigabytes. Nothing is reserved: an abandoned download holds no more than
/// it has.
void PartialFile::check_room() {
  struct statvfs info {};
  if (::fstatvfs(file_.file().fd(), &info) != 0 || info.f_frsize == 0) {
    return;
  }
  const std::uint64_t missing = size_ - map_.bytes_there();
  if (missing / info.f_frsize > info.f_bavail) {
    remove();
    throw_errno("store " + human_bytes(missing) + " in " + quoted(file_.path().string()), ENOSPC);
  }
}

void PartialFile::reset() {
  map_ = BlockMap(size_);
  resize(file_.file(), 0);
  file_.file().write_at(size_, io::as_bytes(map_.to_string()));
}

void PartialFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  file_.file().write_at(offset, bytes);
}

std::size_t PartialFile::read_at(std::uint64_t offset, std::span<std::byte> into) {
  return file_.file().read_at(offset, into);
}

void PartialFile::set(std::size_t block) {
  file_.file().write_at(size_ + map_.digit_offset(block), io::as_bytes("1"));
  map_.set(block);
}

void PartialFile::give_to(blob::DirectoryStore& store, const oci::Descriptor& descriptor) {
  resize(file_.file(), size_);
  store.adopt(descriptor, file_.path());
  ::rmdir(directory_in(store).c_str()); // unless others are at work there
}

void PartialFile::remove() noexcept {
  file_.remove();
  ::rmdir(file_.path().parent_path().c_str());
}

} // namespace aipack::registry
