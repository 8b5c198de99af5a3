#include "registry_weights.hpp"

namespace aipack::build {

registry::Repository RegistryWeights::repository() {
  const std::lock_guard lock(mutex_);
  if (!repository_) {
    repository_ = registry_.open(reference_, registry::Access::push);
  }
  return *repository_;
}

blob::Placement RegistryWeights::place(const blob::BlobSource& /*blob*/, const Operation& /*op*/) {
  return blob::Placement::present;
}

std::shared_ptr<const blob::DerivedBlob> RegistryWeights::place_hashing(std::string_view media_type,
                                                                        const blob::Recipe& recipe,
                                                                        const Operation& op) {
  Sent sent;
  auto blob = repository().upload_hashing(media_type, recipe, sent.upload, op);
  sent.size_bytes = blob->descriptor().size_bytes;
  const std::lock_guard lock(mutex_);
  sent_.push_back(std::move(sent));
  return blob;
}

void RegistryWeights::add_to(transfer::CopyReport& report) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [upload, size_bytes] : sent_) {
    if (upload.arrival == registry::Arrival::uploaded ||
        upload.arrival == registry::Arrival::resumed) {
      auto& tally = upload.arrival == registry::Arrival::resumed ? report.resumed : report.sent;
      ++tally.count;
      tally.bytes += size_bytes;
      // The copy counted it among what was there: it was, by then.
      if (report.present.count != 0 && report.present.bytes >= size_bytes) {
        --report.present.count;
        report.present.bytes -= size_bytes;
      }
    }
    report.sent_bytes += upload.sent_bytes;
    report.resent_bytes += upload.resent_bytes;
    if (!upload.note.empty()) {
      report.notes.push_back(upload.note);
    }
  }
}

} // namespace aipack::build
