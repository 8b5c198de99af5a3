#include "aipack/transfer/copy.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"

#include "graph.hpp"
#include "selection.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace aipack::transfer {
namespace {

/// Something that is attached, and how.
struct Attached {
  const Node* node;
  std::string tag;
  unsigned depth = 0; ///< 0: to the image, 1: to what is attached to that
};

constexpr unsigned attachments_at_once = 64;

bool is_missing_or_strange(const Error& error) {
  return error.code() == ErrorCode::not_found || error.code() == ErrorCode::unsupported;
}

/// One copy. run() is its table of contents.
class Copy {
public:
  Copy(Origin& origin, Target& target, const CopyOptions& options, const Operation& op)
      : origin_(origin), target_(target), options_(options), op_(op),
        concurrency_(std::clamp(options.concurrency, 1U, 64U)), graph_(origin, concurrency_) {}

  CopyReport run() {
    choose_root();
    report_.unchanged = is_there();
    read_image();
    collect_attachments();
    find_complete();
    send_blobs();
    send_manifests();
    send_attachments();
    if (options_.before_name) {
      options_.before_name(op_);
    }
    if (!report_.unchanged) {
      op_.check();
      target_.finish(graph_.get(report_.root.digest).document, op_);
      ++report_.manifests;
    }
    return std::move(report_);
  }

private:
  // --- reading

  void choose_root() {
    report_.reference = target_.name();
    const auto root = origin_.resolve(op_);
    report_.root = {root.media_type, root.digest, root.size_bytes};
    if (!options_.platforms.empty()) {
      auto selection = select(origin_, report_.root, options_.platforms, op_);
      if (selection.is_part) {
        whole_ = report_.root.digest;
        report_.root = selection.root.descriptor;
        graph_.add(std::move(selection.root), op_);
      }
    }
    const auto& only = target_.digest();
    if (only && *only != report_.root.digest) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot copy {} to {}: its digest is {}", quoted(origin_.name()),
                              quoted(target_.name()), report_.root.digest.to_string()));
    }
  }

  bool is_there() {
    const auto found = target_.find(op_);
    return found && found->digest == report_.root.digest;
  }

  void read_image() {
    if (!report_.unchanged && !whole_) {
      graph_.add(report_.root, op_);
    }
    for (const auto* node : graph_.below(report_.root.digest)) {
      image_.insert(node->document.descriptor.digest);
    }
  }

  /// What is attached to the image and its parts, and what is attached to that in turn.
  void collect_attachments() {
    if (!options_.referrers) {
      return;
    }
    if (whole_) {
      if (const auto count = origin_.attachments(*whole_, op_).size(); count != 0) {
        note(fmt::format("{} attached to the whole index {} left out: {} about more than the "
                         "chosen platforms",
                         count == 1 ? "1 artifact is" : fmt::format("{} artifacts are", count),
                         whole_->to_string(), count == 1 ? "it is" : "they are"));
      }
    }
    std::vector<oci::Digest> subjects(image_.begin(), image_.end());
    if (subjects.empty()) { // Nothing was read: the target has it all.
      subjects = graph_.names(report_.root, op_);
    }
    for (unsigned depth = 0; !subjects.empty(); ++depth) {
      auto listed = map_each<std::vector<Attachment>>(
          subjects, concurrency_, op_, [&](const oci::Digest& subject, const Operation& inner) {
            return origin_.attachments(subject, inner);
          });
      std::vector<oci::Digest> next;
      for (std::size_t i = 0; i < subjects.size(); ++i) {
        for (const auto& attachment : listed[i]) {
          if (depth == max_attachment_depth) {
            note(fmt::format("what is attached to {} is left out: it is attached to an attachment, "
                             "{} deep",
                             subjects[i].to_string(), depth));
            break;
          }
          adopt(attachment, subjects[i], depth, next);
        }
      }
      subjects = std::move(next);
    }
  }

  void adopt(const Attachment& attachment, const oci::Digest& subject, unsigned depth,
             std::vector<oci::Digest>& next) {
    const auto& descriptor = attachment.descriptor;
    // An attestation that its image's index names as well goes with that index.
    if ((attachment.tag.empty() && image_.contains(descriptor.digest)) ||
        !seen_.emplace(descriptor.digest, attachment.tag).second) {
      return;
    }
    const auto leave_out = [&](std::string_view why) {
      note(fmt::format("{} is listed as attached to {} and left out: {}",
                       descriptor.digest.to_string(), subject.to_string(), why));
    };
    try {
      graph_.add(oci::Descriptor{descriptor.media_type, descriptor.digest, descriptor.size_bytes},
                 op_);
    } catch (const Error& error) {
      if (!is_missing_or_strange(error)) {
        throw;
      }
      leave_out(error.message());
      return;
    }
    const auto& node = graph_.get(descriptor.digest);
    const auto& own_subject = node.content.subject;
    if (attachment.tag.empty() && (!own_subject || own_subject->digest != subject)) {
      leave_out("its own subject is another");
      return;
    }
    attached_.push_back({&node, attachment.tag, depth});
    for (const auto* part : graph_.below(descriptor.digest)) {
      next.push_back(part->document.descriptor.digest);
    }
  }

  // --- comparing

  /// From the top: what is complete has nothing below it to ask for.
  void find_complete() {
    std::vector<const Node*> level;
    if (const auto* root = graph_.find(report_.root.digest); root != nullptr) {
      if (report_.unchanged) {
        mark_complete(*root);
      } else {
        level.push_back(root);
      }
    }
    while (!level.empty()) {
      const auto there = map_each<Presence>(level, concurrency_, op_,
                                            [&](const Node* node, const Operation& inner) {
                                              return target_.look(node->document, {}, inner);
                                            });
      std::set<const Node*> next;
      for (std::size_t i = 0; i < level.size(); ++i) {
        if (there[i].is_complete) {
          mark_complete(*level[i]);
          continue;
        }
        for (const auto& child : level[i]->content.manifests) {
          next.insert(&graph_.get(child.digest));
        }
      }
      level.assign(next.begin(), next.end());
    }
    std::erase_if(attached_, [&](const Attached& item) {
      const auto there = target_.look(item.node->document, item.tag, op_);
      if (there.other) {
        note(fmt::format("{} was {} and is replaced", quoted(item.tag), there.other->to_string()));
      }
      if (there.is_complete) {
        mark_complete(*item.node);
      }
      return there.is_complete;
    });
  }

  void mark_complete(const Node& top) {
    for (const auto* node : graph_.below(top.document.descriptor.digest)) {
      complete_.insert(node->document.descriptor.digest);
    }
  }

  [[nodiscard]] bool is_complete(const Node& node) const {
    return complete_.contains(node.document.descriptor.digest);
  }

  // --- sending

  /// Every blob that is not known to be there, once, the largest first.
  std::vector<oci::Descriptor> missing_blobs() {
    std::map<oci::Digest, oci::Descriptor> wanted;
    std::map<oci::Digest, oci::Descriptor> present;
    std::set<oci::Digest> tops{report_.root.digest};
    for (const auto& item : attached_) {
      tops.insert(item.node->document.descriptor.digest);
    }
    for (const auto& top : tops) {
      for (const auto* node : graph_.below(top)) {
        for (const auto& blob : node->content.blobs) {
          if (!may_be_distributed(blob.media_type)) {
            skip(blob);
            continue;
          }
          auto& place = is_complete(*node) ? present : wanted;
          const auto& known = place.emplace(blob.digest, blob).first->second;
          if (known.size_bytes != blob.size_bytes) {
            throw FormatError(
                origin_.name(), std::nullopt,
                fmt::format("blob {} is announced with two sizes", blob.digest.to_string()));
          }
        }
      }
    }
    for (const auto& [digest, blob] : present) {
      if (!wanted.contains(digest)) {
        count(report_.present, blob);
      }
    }
    std::vector<oci::Descriptor> result;
    for (const auto& [digest, blob] : wanted) {
      result.push_back({blob.media_type, blob.digest, blob.size_bytes});
    }
    std::ranges::stable_sort(result, std::ranges::greater(), &oci::Descriptor::size_bytes);
    return result;
  }

  void skip(const oci::Descriptor& blob) {
    if (skipped_.insert(blob.digest).second) {
      note(fmt::format("layer {} is not copied: it may not be distributed, and stays where its "
                       "manifest's URLs point",
                       blob.digest.to_string()));
    }
  }

  void send_blobs() {
    const auto blobs = missing_blobs();
    std::uint64_t total = 0;
    for (const auto& blob : blobs) {
      total = checked_add(total, blob.size_bytes);
    }
    Activity activity(op_, fmt::format("copy {}", origin_.name()), total);
    std::mutex mutex;
    for_each(blobs, concurrency_, activity.child(),
             [&](const oci::Descriptor& blob, const Operation& inner) {
               inner.check();
               const auto sent = target_.put_blob(origin_, blob, inner);
               activity.advance(blob.size_bytes);
               const std::lock_guard lock(mutex);
               add(sent, blob);
             });
  }

  void add(const registry::UploadReport& sent, const oci::Descriptor& blob) {
    report_.sent_bytes += sent.sent_bytes;
    report_.resent_bytes += sent.resent_bytes;
    if (!sent.note.empty()) {
      note(sent.note);
    }
    switch (sent.arrival) {
    case registry::Arrival::present:
      count(report_.present, blob);
      return;
    case registry::Arrival::mounted:
      count(report_.mounted, blob);
      return;
    case registry::Arrival::uploaded:
      count(report_.sent, blob);
      return;
    case registry::Arrival::resumed:
      count(report_.resumed, blob);
      return;
    }
  }

  /// Manifests first, indexes after what they name; the root waits for finish(), unless something
  /// refers to it or will.
  void send_manifests() {
    std::vector<const Node*> manifests;
    std::vector<const Node*> indexes;
    for (const auto* node : graph_.below(report_.root.digest)) {
      const bool is_root = node->document.descriptor.digest == report_.root.digest;
      const bool is_referred_to = !attached_.empty() || options_.before_name;
      if (!is_complete(*node) && (!is_root || is_referred_to)) {
        (node->content.is_index ? indexes : manifests).push_back(node);
        report_.manifests += is_root ? 0 : 1;
      }
    }
    for_each(manifests, concurrency_, op_, [&](const Node* node, const Operation& inner) {
      target_.put_manifest(node->document, {}, inner);
    });
    for (const auto* node : indexes) {
      target_.put_manifest(node->document, {}, op_);
    }
  }

  /// After what they are about, all side by side: where the registry knows no referrers, those of
  /// one subject that come together are one update of its listing, which takes its time whatever
  /// their number. They wait more than they work; how many requests run is the target's business.
  void send_attachments() {
    for (unsigned depth = 0; depth < max_attachment_depth; ++depth) {
      std::vector<Attached> wave;
      std::ranges::copy_if(attached_, std::back_inserter(wave),
                           [&](const Attached& item) { return item.depth == depth; });
      for_each(wave, attachments_at_once, op_,
               [&](const Attached& item, const Operation& inner) { send_attachment(item, inner); });
    }
    report_.referrers = attached_.size();
  }

  void send_attachment(const Attached& item, const Operation& op) {
    op.check();
    for (const auto* node : graph_.below(item.node->document.descriptor.digest)) {
      if (node == item.node) {
        target_.put_manifest(node->document, item.tag, op);
      } else if (!is_complete(*node)) {
        target_.put_manifest(node->document, {}, op);
      }
    }
  }

  static void count(Tally& tally, const oci::Descriptor& blob) {
    ++tally.count;
    tally.bytes += blob.size_bytes;
  }

  void note(std::string text) { report_.notes.push_back(std::move(text)); }

  Origin& origin_;
  Target& target_;
  const CopyOptions& options_;
  const Operation& op_;
  unsigned concurrency_;
  Graph graph_;
  CopyReport report_{.reference = {}, .root = {{}, oci::Digest::of(std::string_view())}};
  std::optional<oci::Digest> whole_; ///< of the index that only a part of is copied
  std::set<oci::Digest> image_;      ///< manifests and indexes of the image itself
  std::vector<Attached> attached_;   ///< to be written, after what they are about
  std::set<std::pair<oci::Digest, std::string>> seen_; ///< attachments and how they are named
  std::set<oci::Digest> complete_;                     ///< manifests that the target has in whole
  std::set<oci::Digest> skipped_;
};

/// Blobs may be mounted from where the image comes from.
TargetOptions with_mount_source(TargetOptions options, const image::Location& from,
                                const image::Location& to) {
  if (from.reference && to.reference && from.reference->registry() == to.reference->registry() &&
      from.reference->repository() != to.reference->repository() &&
      std::ranges::find(options.mount_sources, from.reference->repository()) ==
          options.mount_sources.end()) {
    options.mount_sources.push_back(from.reference->repository());
  }
  return options;
}

std::optional<oci::Platform> only_platform(const CopyOptions& options, const image::Location& to) {
  if (options.platforms.size() > 1) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot copy {} platforms to {}: a docker archive holds one",
                            options.platforms.size(), quoted(to.to_string())))
        .with_hint("choose one platform, or write an oci-archive");
  }
  return options.platforms.empty() ? std::nullopt : std::optional(options.platforms.front());
}

} // namespace

CopyReport copy(Origin& origin, Target& target, const CopyOptions& options, const Operation& op) {
  return with_context(
      [&] { return Copy(origin, target, options, op).run(); },
      fmt::format("while copying {} to {}", quoted(origin.name()), quoted(target.name())));
}

CopyReport copy(Origin& origin, const image::Location& to, registry::Registry& registry,
                const CopyOptions& options, const Operation& op) {
  const auto before = registry.requests();
  CopyReport report =
      to.kind == image::Location::Kind::docker_archive
          ? write_docker_archive(origin, to.path, to.tag, only_platform(options, to), op)
          : copy(origin, *open_target(to, registry, options.target), options, op);
  report.reference = to.to_string();
  report.requests = registry.requests() - before;
  return report;
}

CopyReport copy(const image::Location& from, const image::Location& to,
                registry::Registry& registry, const CopyOptions& options, const Operation& op) {
  const auto before = registry.requests();
  const auto origin = open_origin(from, registry, op);
  auto with_mount = options;
  with_mount.target = with_mount_source(options.target, from, to);
  auto report = copy(*origin, to, registry, with_mount, op);
  report.requests = registry.requests() - before;
  return report;
}

} // namespace aipack::transfer
