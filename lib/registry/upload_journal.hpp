#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/oci/digest.hpp"

#include "locked_file.hpp"
#include "upload_plan.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::registry {

/// What is uploaded, and where to: whose upload a journal is.
struct UploadKey {
  std::string origin;     ///< of the endpoint, "https://r.example"
  std::string repository; ///< as the endpoint calls it
  std::string content;    ///< a digest, or recipe_key() where that is not known yet
  std::uint64_t size_bytes = 0;
  bool operator==(const UploadKey&) const = default;

  /// Name of the journal: depends on all of it.
  [[nodiscard]] std::string file_name() const;
};

/// What a recipe will make, without reading it: sizes and places of its parts, identities of its
/// files, digests of its literals.
[[nodiscard]] std::string recipe_key(const blob::Recipe& recipe);

/// An open upload as the next process needs it.
struct UploadRecord {
  UploadKey key;
  std::string location;  ///< the newest; a URL that may hold secrets
  Way way = Way::single; ///< how the bytes were being sent
  std::uint64_t chunk_bytes = 0;
  std::uint64_t min_chunk_bytes = 0; ///< the registry's; 0: none
  std::uint64_t confirmed_bytes = 0; ///< from the start; the registry said that it has them
  std::uint64_t piece_end = 0;       ///< no byte from here on can have been sent to this session
  bool doubtful = false;             ///< an answer named another range than the one that was sent
  bool operator==(const UploadRecord&) const = default;
};

inline constexpr std::size_t max_location_bytes = std::size_t{8} << 10;

/// The journal of one open upload: a LockedFile of two slots that are written in turn, each with a
/// digest of its own, so that one that was torn leaves the other; and behind them a mark.
///
///     0      slot: "aipack-upload 1 SEQUENCE LENGTH SHA256-HEX\n" JSON
///     16384  slot
///     32768  twenty digits: how far bytes were ever handed to the network, changed in place
///
/// A mark that cannot be read is 0. What is written reaches the page cache only: it survives the
/// process, and a machine that loses power costs an upload that starts over.
class UploadJournal {
public:
  static constexpr std::size_t slot_bytes = std::size_t{16} << 10;

  /// Empty where `directory` is, where someone else works on the same upload, and where the
  /// directory cannot be written: an upload without a journal is still an upload.
  [[nodiscard]] static std::optional<UploadJournal> open(const std::filesystem::path& directory,
                                                         const UploadKey& key);
  /// Takes away what an earlier upload of this content left; nothing when someone works on it.
  static void forget(const std::filesystem::path& directory, const UploadKey& key) noexcept;

  /// What was found; empty for a new one.
  [[nodiscard]] const std::optional<UploadRecord>& found() const noexcept { return found_; }
  [[nodiscard]] std::uint64_t found_mark() const noexcept { return found_mark_; }

  /// These do not throw: an upload does not end because its journal cannot be written.
  void write(const UploadRecord& record) noexcept;
  void set_mark(std::uint64_t offset) noexcept;
  void remove() noexcept { file_.remove(); }

private:
  explicit UploadJournal(LockedFile file) noexcept : file_(std::move(file)) {}
  LockedFile file_;
  std::optional<UploadRecord> found_{};
  std::uint64_t found_mark_ = 0;
  std::uint64_t sequence_ = 0;
};

/// The newest good slot of a journal's bytes. Checks everything that does not need the registry.
struct ParsedJournal {
  std::optional<UploadRecord> record{};
  std::uint64_t sequence = 0;
  std::uint64_t mark = 0;
};
[[nodiscard]] ParsedJournal parse_upload_journal(std::string_view bytes);
/// One slot, without the padding; empty when the record does not fit.
[[nodiscard]] std::string format_upload_slot(const UploadRecord& record, std::uint64_t sequence);

} // namespace aipack::registry
