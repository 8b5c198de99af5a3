#include "aipack/blob/blob.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "recipe_writer.hpp"
#include "stored_blob.hpp"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>

namespace aipack::blob {
namespace {

/// Lets a filter that owns its source read one that somebody else owns.
class Borrowed final : public io::ByteSource {
public:
  explicit Borrowed(io::ByteSource& source) noexcept : source_(source) {}
  std::size_t read(std::span<std::byte> into) override { return source_.read(into); }

private:
  io::ByteSource& source_;
};

/// Reads a file that somebody else owns.
class FileBytes final : public io::ByteSource {
public:
  explicit FileBytes(const io::File& file) noexcept : file_(file) {}
  std::size_t read(std::span<std::byte> into) override {
    const std::size_t count = file_.read_at(offset_, into);
    offset_ += count;
    return count;
  }

private:
  const io::File& file_;
  std::uint64_t offset_ = 0;
};

/// Throws Error{corrupt} when the file does not hold what the descriptor says.
void verify(const io::File& file, const oci::Descriptor& descriptor, const Operation& op) {
  codec::VerifyingSource source(std::make_unique<FileBytes>(file), descriptor.digest,
                                descriptor.size_bytes, descriptor.digest.to_string());
  io::NullSink nowhere;
  io::copy(source, nowhere, op);
}

void make_directories(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw_errno("create directory " + quoted(directory.string()), error.value());
  }
}

void sync_directory(const std::filesystem::path& directory) {
  const io::File file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                      directory.string());
  if (file.fd() < 0) {
    throw_errno("open " + quoted(directory.string()), errno);
  }
  file.sync();
}

} // namespace

DirectoryStore::DirectoryStore(std::filesystem::path root, io::Durability durability)
    : root_(std::move(root)), durability_(durability) {
  // A store that is only read may stand on a read-only file system.
  if (std::error_code error; !std::filesystem::is_directory(root_, error)) {
    make_directories(root_);
  }
}

std::filesystem::path DirectoryStore::path_of(const oci::Digest& digest) const {
  return root_ / "sha256" / digest.hex();
}

bool DirectoryStore::contains(const oci::Descriptor& descriptor) const {
  const auto path = path_of(descriptor.digest);
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) &&
         std::filesystem::file_size(path, error) == descriptor.size_bytes && !error;
}

BlobPtr DirectoryStore::stored(oci::Descriptor descriptor) const {
  auto path = path_of(descriptor.digest);
  return std::make_shared<StoredBlob>(std::move(descriptor), std::move(path));
}

BlobPtr DirectoryStore::find(const oci::Descriptor& descriptor) const {
  return contains(descriptor) ? stored(descriptor) : nullptr;
}

std::unique_ptr<io::TempFile> DirectoryStore::new_file() const {
  make_directories(root_ / "sha256");
  return std::make_unique<io::TempFile>(root_ / "sha256");
}

void DirectoryStore::commit(io::TempFile& file, const oci::Digest& digest) const {
  const auto path = path_of(digest);
  const std::uint64_t size = file.file().size();
  std::error_code error;
  const bool is_damaged =
      std::filesystem::exists(path, error) && std::filesystem::file_size(path, error) != size;
  // A file of the right size under a content's name is that content, so the first writer wins. One
  // of another size is the rest of a power cut: it is replaced.
  file.commit(path, is_damaged ? io::TempFile::IfExists::replace : io::TempFile::IfExists::keep,
              durability_);
}

BlobPtr DirectoryStore::put(const oci::Descriptor& expected, io::ByteSource& source,
                            const Operation& op) {
  if (auto blob = find(expected)) {
    return blob;
  }
  const auto file = new_file();
  codec::VerifyingSource verified(std::make_unique<Borrowed>(source), expected.digest,
                                  expected.size_bytes, expected.digest.to_string());
  io::copy(verified, *file, op);
  commit(*file, expected.digest);
  return stored(expected);
}

BlobPtr DirectoryStore::ingest(std::string_view media_type, io::ByteSource& source,
                               const Operation& op) {
  const auto file = new_file();
  codec::HashingSink sink(*file);
  io::copy(source, sink, op);
  oci::Descriptor descriptor{
      .media_type = std::string(media_type), .digest = sink.digest(), .size_bytes = sink.size()};
  commit(*file, descriptor.digest);
  return stored(std::move(descriptor));
}

Placement DirectoryStore::place(const BlobSource& blob, const Operation& op) {
  const oci::Descriptor& descriptor = blob.descriptor();
  if (contains(descriptor)) {
    return Placement::present;
  }
  if (const auto* derived = dynamic_cast<const DerivedBlob*>(&blob)) {
    if (derived->recipe().size() != descriptor.size_bytes) {
      throw Error(ErrorCode::internal, "cannot write " + descriptor.digest.to_string() +
                                           ": its recipe has another size");
    }
    const auto file = new_file();
    const auto written =
        write_recipe(derived->recipe(), file->file(), {.durability = durability_}, op);
    commit(*file, descriptor.digest);
    return written.cloned_bytes > 0 ? Placement::cloned : Placement::copied;
  }
  if (const auto* other = dynamic_cast<const StoredBlob*>(&blob)) {
    const io::File source = io::File::open(other->path());
    const auto file = new_file();
    if (source.size() == descriptor.size_bytes && try_clone_file(source, file->file())) {
      // What gets the name is what was read: the file that it came from may change at any time.
      verify(file->file(), descriptor, op);
      commit(*file, descriptor.digest);
      return Placement::cloned;
    }
  }
  put(descriptor, *blob.open(), op);
  return Placement::copied;
}

std::shared_ptr<const DerivedBlob> DirectoryStore::place_hashing(std::string_view media_type,
                                                                 const Recipe& recipe,
                                                                 const Operation& op) {
  const auto file = new_file();
  const auto written =
      write_recipe(recipe, file->file(), {.hash = true, .durability = durability_}, op);
  commit(*file, *written.digest);
  return std::make_shared<const DerivedBlob>(oci::Descriptor{.media_type = std::string(media_type),
                                                             .digest = *written.digest,
                                                             .size_bytes = recipe.size()},
                                             recipe);
}

void DirectoryStore::adopt(const oci::Descriptor& verified, const std::filesystem::path& file) {
  const auto path = path_of(verified.digest);
  if (contains(verified)) {
    std::error_code ignored; // it is in nobody's way
    std::filesystem::remove(file, ignored);
    return;
  }
  make_directories(root_ / "sha256");
  const io::File opened = io::File::open(file);
  if (opened.size() != verified.size_bytes) {
    throw Error(ErrorCode::internal,
                "cannot store " + verified.digest.to_string() + ": the file has another size");
  }
  if (::fchmod(opened.fd(), 0644) != 0) { // as every blob, whatever the umask
    throw_errno("set the mode of " + quoted(file.string()), errno);
  }
  if (durability_ == io::Durability::synced) {
    opened.sync();
  }
  if (::rename(file.c_str(), path.c_str()) != 0) {
    throw_errno("create " + quoted(path.string()), errno);
  }
  if (durability_ == io::Durability::synced) {
    sync_directory(path.parent_path()); // a new name is durable once its directory is
  }
}

} // namespace aipack::blob
