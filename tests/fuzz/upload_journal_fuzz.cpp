// Any bytes as the journal of an open upload, as they are and with a digest that fits: a record
// that holds together and is written as it was read, or none.
#include "../../lib/registry/upload_journal.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace aipack;
using namespace aipack::registry;

void check(std::string_view bytes) {
  const ParsedJournal parsed = parse_upload_journal(bytes);
  if (!parsed.record) {
    return;
  }
  const UploadRecord& record = *parsed.record;
  if (record.confirmed_bytes > record.piece_end || record.piece_end > record.key.size_bytes ||
      parsed.mark > record.key.size_bytes || record.chunk_bytes == 0 || record.location.empty()) {
    std::abort();
  }
  const std::string slot = format_upload_slot(record, parsed.sequence);
  if (!slot.empty() && parse_upload_journal(slot).record != record) {
    std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  check("aipack-upload 1 7 " + std::to_string(size) + " " + oci::Digest::of(text).hex() + "\n" +
        std::string(text));
  return 0;
}
