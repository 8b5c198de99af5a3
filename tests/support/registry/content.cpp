#include "support/registry/content.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aipack::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), "test registry: " + what);
}

class File {
public:
  File(const std::filesystem::path& path, int flags)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) { // NOLINT: variadic by POSIX
    if (fd_ < 0) {
      fail("cannot open " + path.string());
    }
  }
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] std::uint64_t size() const {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) {
      fail("cannot stat a blob");
    }
    return static_cast<std::uint64_t>(status.st_size);
  }
  std::size_t read(std::uint64_t offset, std::span<char> into) const {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t got =
          ::pread(fd_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      if (got < 0) {
        fail("cannot read a blob");
      }
      if (got == 0) {
        break;
      }
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

private:
  int fd_;
};

struct MemoryContent : Content {
  explicit MemoryContent(std::string b) : bytes(std::move(b)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes.size(); }
  std::size_t read(std::uint64_t offset, std::span<char> into) const override {
    if (offset >= bytes.size()) {
      return 0;
    }
    return bytes.copy(into.data(), into.size(), static_cast<std::size_t>(offset));
  }
  std::string bytes;
};

struct FileContent : Content {
  explicit FileContent(const std::filesystem::path& path)
      : open(path, O_RDONLY), length(open.size()) {}
  [[nodiscard]] std::uint64_t size() const override { return length; }
  std::size_t read(std::uint64_t offset, std::span<char> into) const override {
    return open.read(offset, into);
  }
  [[nodiscard]] int file() const override { return open.get(); }
  File open;
  std::uint64_t length;
};

struct SizeAlone : Content {
  explicit SizeAlone(std::uint64_t s) : length(s) {}
  [[nodiscard]] std::uint64_t size() const override { return length; }
  [[nodiscard]] bool readable() const override { return false; }
  std::size_t read(std::uint64_t, std::span<char>) const override { return 0; }
  std::uint64_t length;
};

struct MemoryWriter : ContentWriter {
  [[nodiscard]] std::uint64_t size() const override { return bytes.size(); }
  void append(std::string_view more) override { bytes += more; }
  void truncate(std::uint64_t size) override { bytes.resize(static_cast<std::size_t>(size)); }
  std::string read_all(const std::string& algorithm) override {
    return Hasher::of(algorithm, bytes);
  }
  std::shared_ptr<const Content> finish(const std::string&) override {
    return std::make_shared<MemoryContent>(std::move(bytes));
  }
  std::string bytes;
};

struct SinkWriter : ContentWriter {
  [[nodiscard]] std::uint64_t size() const override { return length; }
  [[nodiscard]] bool keeps_bytes() const override { return false; }
  void append(std::string_view more) override { length += more.size(); }
  void skip(std::uint64_t count) override { length += count; }
  void truncate(std::uint64_t size) override { length = size; }
  std::string read_all(const std::string&) override { return {}; }
  std::shared_ptr<const Content> finish(const std::string&) override {
    return std::make_shared<SizeAlone>(length);
  }
  std::uint64_t length = 0;
};

class FileWriter : public ContentWriter {
public:
  FileWriter(std::filesystem::path temporary, std::filesystem::path blobs)
      : temporary_(std::move(temporary)), blobs_(std::move(blobs)),
        file_(temporary_, O_RDWR | O_CREAT | O_TRUNC) {}
  ~FileWriter() override {
    if (!finished_) {
      ::unlink(temporary_.c_str());
    }
  }
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  [[nodiscard]] std::uint64_t size() const override { return size_; }
  void append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t put =
          ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (put < 0) {
        fail("cannot write a blob");
      }
      size_ += static_cast<std::uint64_t>(put);
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
  }
  void truncate(std::uint64_t size) override {
    if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0) {
      fail("cannot shorten a blob");
    }
    size_ = size;
  }
  std::string read_all(const std::string& algorithm) override {
    Hasher hasher(algorithm);
    std::string block(std::size_t{1} << 18, '\0');
    for (std::uint64_t at = 0; at < size_;) {
      const std::size_t got = file_.read(at, block);
      if (got == 0) {
        break;
      }
      hasher.update(std::string_view(block).substr(0, got));
      at += got;
    }
    return hasher.digest();
  }
  std::shared_ptr<const Content> finish(const std::string& digest) override {
    const std::size_t colon = digest.find(':');
    const auto folder = blobs_ / digest.substr(0, colon);
    std::filesystem::create_directories(folder);
    const auto path = folder / digest.substr(colon + 1);
    std::filesystem::rename(temporary_, path);
    finished_ = true;
    return std::make_shared<FileContent>(path);
  }

private:
  std::filesystem::path temporary_;
  std::filesystem::path blobs_;
  File file_;
  std::uint64_t size_ = 0;
  bool finished_ = false;
};

} // namespace

void ContentWriter::skip(std::uint64_t) {
  throw std::logic_error("this writer wants the bytes");
}

std::unique_ptr<ContentWriter> memory_writer() {
  return std::make_unique<MemoryWriter>();
}

std::unique_ptr<ContentWriter> sink_writer() {
  return std::make_unique<SinkWriter>();
}

std::unique_ptr<ContentWriter> file_writer(std::filesystem::path temporary,
                                           std::filesystem::path blobs) {
  return std::make_unique<FileWriter>(std::move(temporary), std::move(blobs));
}

std::shared_ptr<const Content> file_content(const std::filesystem::path& path) {
  return std::make_shared<FileContent>(path);
}

} // namespace aipack::test
