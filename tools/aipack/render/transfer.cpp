#include "render/transfer.hpp"

#include "aipack/core/text.hpp"

#include <fmt/format.h>

namespace aipack::cli {

namespace {

void add(std::string& text, const transfer::Tally& tally, std::string_view what) {
  if (tally.count != 0) {
    text += fmt::format("{}{} {} {} ({})", text.empty() ? "" : ", ", tally.count,
                        tally.count == 1 ? "blob" : "blobs", what, human_bytes(tally.bytes));
  }
}

Json tally_json(const transfer::Tally& tally) {
  return {{"count", tally.count}, {"size_bytes", tally.bytes}};
}

} // namespace

std::string transfer_summary(const transfer::CopyReport& report) {
  std::string text;
  if (report.unchanged) {
    text = "nothing to do: it was there already";
  }
  add(text, report.sent, "sent");
  add(text, report.resumed, "continued");
  add(text, report.mounted, "mounted");
  if (!report.unchanged) {
    add(text, report.present, "there already");
  }
  if (report.resent_bytes != 0) {
    text += fmt::format(", {} sent again", human_bytes(report.resent_bytes));
  }
  if (report.referrers != 0) {
    text += fmt::format(", {} attached", report.referrers);
  }
  if (report.requests != 0) {
    text += fmt::format(", {} {}", report.requests, report.requests == 1 ? "request" : "requests");
  }
  return text;
}

std::string render(const transfer::CopyReport& report, double seconds) {
  std::string text;
  for (const auto& note : report.notes) {
    text += fmt::format("note: {}\n", note);
  }
  return fmt::format("{}{}\n{}\n{}  ({:.2f} s)\n", text, report.reference,
                     report.root.digest.to_string(), transfer_summary(report), seconds);
}

Json to_json(const transfer::CopyReport& report) {
  return {{"reference", report.reference},         {"digest", report.root.digest.to_string()},
          {"media_type", report.root.media_type},  {"unchanged", report.unchanged},
          {"present", tally_json(report.present)}, {"mounted", tally_json(report.mounted)},
          {"sent", tally_json(report.sent)},       {"resumed", tally_json(report.resumed)},
          {"sent_bytes", report.sent_bytes},       {"resent_bytes", report.resent_bytes},
          {"manifests", report.manifests},         {"referrers", report.referrers},
          {"requests", report.requests},           {"notes", report.notes}};
}

Json to_json(const transfer::LoadReport& report) {
  return {{"engine", transfer::to_string(report.engine)},
          {"reference", report.reference},
          {"platform", report.platform.to_string()},
          {"config", report.config.to_string()},
          {"sent_bytes", report.sent_bytes}};
}

Json to_json(const std::vector<transfer::Attachment>& attached) {
  auto list = Json::array();
  for (const auto& item : attached) {
    const auto& descriptor = item.descriptor;
    Json entry{{"artifact_type", descriptor.artifact_type},
               {"media_type", descriptor.media_type},
               {"digest", descriptor.digest.to_string()},
               {"size_bytes", descriptor.size_bytes},
               {"annotations", descriptor.annotations}};
    if (!item.tag.empty()) {
      entry["tag"] = item.tag;
    }
    list.push_back(std::move(entry));
  }
  return list;
}

} // namespace aipack::cli
