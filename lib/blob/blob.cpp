#include "aipack/blob/blob.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "stored_blob.hpp"

#include <algorithm>
#include <memory>

namespace aipack::blob {
namespace {

class MemoryBlob final : public BlobSource {
public:
  MemoryBlob(oci::Descriptor descriptor, std::string bytes)
      : descriptor_(std::move(descriptor)),
        bytes_(std::make_shared<const std::string>(std::move(bytes))) {}

  [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override { return descriptor_; }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
    const auto skip = static_cast<std::size_t>(std::min<std::uint64_t>(offset, bytes_->size()));
    return std::make_unique<io::MemorySource>(bytes_, io::as_bytes(*bytes_).subspan(skip));
  }

private:
  oci::Descriptor descriptor_;
  std::shared_ptr<const std::string> bytes_;
};

/// Adds what a person can do to the error about a damaged file of a store.
class StoredSource final : public io::ByteSource {
public:
  StoredSource(std::unique_ptr<io::ByteSource> source, const std::filesystem::path& path)
      : source_(std::move(source)), path_(path) {}

  std::size_t read(std::span<std::byte> into) override {
    try {
      return source_->read(into);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) {
        throw;
      }
      throw Error(error).with_hint("the stored copy is damaged: delete " + quoted(path_.string()) +
                                   " and run the command again");
    }
  }

private:
  std::unique_ptr<io::ByteSource> source_;
  std::filesystem::path path_;
};

/// Exactly the rest of a file whose size is known; the digest cannot be checked from the middle.
class SizedSource final : public io::ByteSource {
public:
  SizedSource(std::shared_ptr<const io::File> file, std::uint64_t offset, std::uint64_t length)
      : name_(file->name()), source_(std::move(file), offset, length), rest_(length) {}

  std::size_t read(std::span<std::byte> into) override {
    const std::size_t count = source_.read(into);
    if (count == 0 && rest_ > 0) {
      throw Error(ErrorCode::corrupt, "cannot read " + quoted(name_) + ": it ends " +
                                          std::to_string(rest_) + " bytes too early");
    }
    rest_ -= count;
    return count;
  }

private:
  std::string name_;
  io::FileSource source_;
  std::uint64_t rest_;
};

/// The parts of a recipe one after the other. Owns copies of the parts: a source may outlive its
/// recipe.
class RecipeSource final : public io::ByteSource {
public:
  RecipeSource(std::span<const Recipe::Part> parts, std::uint64_t skip)
      : parts_(parts.begin(), parts.end()), skip_(skip) {}

  std::size_t read(std::span<std::byte> into) override {
    while (at_ < parts_.size()) {
      const Recipe::Part& part = parts_[at_];
      const auto* literal = std::get_if<std::string>(&part);
      const std::size_t count = literal != nullptr
                                    ? read_literal(*literal, into)
                                    : read_extent(std::get<fs::FileExtent>(part), into);
      if (count > 0) {
        return count;
      }
      ++at_;
      skip_ = 0;
    }
    return 0;
  }

private:
  std::size_t read_literal(const std::string& literal, std::span<std::byte> into) {
    const auto rest = io::as_bytes(literal).subspan(static_cast<std::size_t>(skip_));
    const std::size_t count = std::min(rest.size(), into.size());
    std::copy_n(rest.begin(), count, into.begin());
    skip_ += count;
    return count;
  }

  std::size_t read_extent(const fs::FileExtent& extent, std::span<std::byte> into) {
    if (!extent_ && skip_ < extent.size()) {
      extent_ = extent.open(skip_); // checks the file's identity now, and again at the end
    }
    const std::size_t count = extent_ ? extent_->read(into) : 0;
    if (count == 0) {
      extent_.reset();
    }
    return count;
  }

  std::vector<Recipe::Part> parts_;
  std::size_t at_ = 0;
  std::uint64_t skip_;                     ///< of the current part
  std::unique_ptr<io::ByteSource> extent_; ///< of the current part, if it is one
};

std::uint64_t size_of(const Recipe::Part& part) noexcept {
  const auto* literal = std::get_if<std::string>(&part);
  return literal != nullptr ? literal->size() : std::get<fs::FileExtent>(part).size();
}

} // namespace

BlobPtr memory_blob(oci::Descriptor descriptor, std::string bytes) {
  if (bytes.size() != descriptor.size_bytes || oci::Digest::of(bytes) != descriptor.digest) {
    throw Error(ErrorCode::corrupt, "cannot keep " + descriptor.digest.to_string() +
                                        " in memory: the bytes are not those of the descriptor");
  }
  return std::make_shared<MemoryBlob>(std::move(descriptor), std::move(bytes));
}

std::unique_ptr<io::ByteSource> StoredBlob::open(std::uint64_t offset) const {
  auto file = std::make_shared<const io::File>(io::File::open(path_));
  const std::uint64_t size = descriptor_.size_bytes;
  std::unique_ptr<io::ByteSource> source;
  if (offset == 0) {
    source = std::make_unique<codec::VerifyingSource>(std::make_unique<io::FileSource>(file),
                                                      descriptor_.digest, size, path_.string());
  } else {
    source = std::make_unique<SizedSource>(file, offset, size - std::min(offset, size));
  }
  return std::make_unique<StoredSource>(std::move(source), path_);
}

void Recipe::add(std::string literal) {
  size_ = checked_add(size_, literal.size());
  if (!parts_.empty() && std::holds_alternative<std::string>(parts_.back())) {
    std::get<std::string>(parts_.back()) += literal;
  } else if (!literal.empty()) {
    parts_.emplace_back(std::move(literal));
  }
}

void Recipe::add(fs::FileExtent extent) {
  size_ = checked_add(size_, extent.size());
  parts_.emplace_back(std::move(extent));
}

std::unique_ptr<io::ByteSource> Recipe::open(std::uint64_t offset) const {
  std::span<const Part> rest = parts_;
  while (!rest.empty() && offset >= size_of(rest.front())) {
    offset -= size_of(rest.front());
    rest = rest.subspan(1);
  }
  return std::make_unique<RecipeSource>(rest, offset);
}

std::unique_ptr<io::ByteSource> DerivedBlob::open(std::uint64_t offset) const {
  if (recipe_.size() != descriptor_.size_bytes) {
    throw Error(ErrorCode::internal,
                "cannot open " + descriptor_.digest.to_string() + ": its recipe has another size");
  }
  return recipe_.open(offset);
}

} // namespace aipack::blob
