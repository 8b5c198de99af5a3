#include "referrers.hpp"

#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include "explain_body.hpp"
#include "link_header.hpp"
#include "manifests.hpp"
#include "referrers_index.hpp"
#include "repository.hpp"

#include <algorithm>
#include <random>
#include <set>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Collects pages; the same digest once.
class Collector {
public:
  explicit Collector(std::string_view artifact_type) : artifact_type_(artifact_type) {}
  void add(const ReferrersIndex& page, const std::string& document) {
    for (Referrer& referrer : page.referrers()) {
      const bool wanted = artifact_type_.empty() || referrer.artifact_type == artifact_type_;
      if (!digests_.insert(referrer.digest).second || !wanted) {
        continue;
      }
      found_.push_back(std::move(referrer));
    }
    if (digests_.size() > max_referrers) {
      throw Error(ErrorCode::corrupt, fmt::format("cannot read {}: it has more than {} entries",
                                                  document, max_referrers));
    }
  }
  [[nodiscard]] std::vector<Referrer> take() { return std::move(found_); }

private:
  std::string_view artifact_type_;
  std::set<oci::Digest> digests_;
  std::vector<Referrer> found_;
};

/// The index under the tag that stands in for the API; empty when there is none.
std::optional<Document> fetch_index(Session& session, const oci::Digest& subject,
                                    const std::string& name, const Operation& op) {
  auto document = try_fetch_manifest(session, referrers_tag(subject), name, op);
  if (document && document->descriptor.media_type != oci::media_type::index) {
    throw Error(ErrorCode::already_exists,
                fmt::format("cannot use tag {} as the list of what refers to {}: it names {}, not "
                            "an index",
                            quoted(referrers_tag(subject)), quoted(subject.to_string()),
                            quoted(document->descriptor.media_type)))
        .with_hint("move that tag away");
  }
  return document;
}

/// Whether an answer that is not 200 says that the API is missing. One about the repository says
/// nothing.
bool shows_absence(const http::Response& response) {
  return std::ranges::none_of(parse_faults(response.body), [](const Fault& fault) {
    return fault.code == "NAME_UNKNOWN" || fault.code == "MANIFEST_UNKNOWN";
  });
}

} // namespace

std::vector<Referrer> list_referrers(Session& session, EndpointMemory& memory,
                                     const oci::Digest& subject, std::string_view artifact_type,
                                     const std::string& name, const Operation& op) {
  const Endpoint& endpoint = session.endpoint();
  const std::string document = fmt::format("list of what refers to {}", quoted(name));
  Collector collector(artifact_type);
  if (memory.has_referrers_api() != false) {
    std::string first = api_path(endpoint.repository, "referrers", subject.to_string());
    if (!artifact_type.empty()) {
      first += "?artifactType=" + percent_encoded(artifact_type);
    }
    Pages pages(http::Origin::of(endpoint.scheme + "://" + endpoint.host), first, document);
    Call call;
    call.verb = "read " + document;
    call.headers = {{"Accept", std::string(oci::media_type::index)}};
    call.transfer.max_body_bytes = max_referrers_page_bytes;
    call.accepted = {200, 400, 404, 405, 501};
    for (;;) {
      op.check();
      call.target = pages.url();
      const http::Response response = session.send(call, op);
      if (response.status != 200) {
        if (shows_absence(response)) {
          memory.set_has_referrers_api(false);
        }
        break;
      }
      memory.set_has_referrers_api(true);
      collector.add(ReferrersIndex::parse(response.body, document), document);
      if (!pages.advance(response)) {
        return collector.take();
      }
      call.accepted = {200}; // a page that is missing is no empty list
    }
  }
  if (const auto index = fetch_index(session, subject, document, op)) {
    collector.add(ReferrersIndex::parse(index->bytes, document), document);
  }
  return collector.take();
}

// --- writing ---

namespace {

milliseconds between(milliseconds low, milliseconds high) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<std::int64_t>(
      low.count(), std::max(low, high).count())(random));
}

Document make_document(const ReferrersIndex& index, const std::string& name) {
  std::string bytes = index.bytes();
  if (bytes.size() > oci::max_manifest_bytes) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot update {}: it would be larger than {} bytes", name,
                            oci::max_manifest_bytes));
  }
  oci::Descriptor descriptor{.media_type = std::string(oci::media_type::index),
                             .digest = oci::Digest::of(bytes),
                             .size_bytes = bytes.size()};
  return {.descriptor = std::move(descriptor), .bytes = std::move(bytes)};
}

/// Adds `entry` to the index of referrers of `subject`, which is an ordinary tag: read, merge,
/// write. Registries know no "write if unchanged", so whoever reads before we write and writes
/// after us takes our entry away unknowingly. Therefore:
///
/// - It is done when the index has held our entry, unchanged, for longer than any writer takes from
///   reading to writing (its window). Who writes after that has read it with our entry. Where
///   others never stop adding, it is enough to have seen it there for several times as long.
/// - A window is kept short: a write is never repeated, one that comes late reads anew.
/// - Whoever finds an entry missing that he has seen puts it back, his own soon, others' later: so
///   what was lost returns as long as one writer that saw it is at work.
/// - Who lost a race waits a random time that grows with each loss.
///
/// The guarantee is as good as the assumption on windows: a writer that needs longer than
/// `settling` allows from reading to writing may still undo us.
class IndexUpdate {
public:
  IndexUpdate(Session& session, const oci::Digest& subject, Referrer entry, std::string name,
              const Settling& settling)
      : session_(session), subject_(subject), entry_(std::move(entry)), name_(std::move(name)),
        settling_(settling), settle_(settling.shortest) {}

  void run(const Operation& op) {
    for (bool is_first = true;; is_first = false) {
      const auto read_at = Clock::now();
      const auto document = fetch_index(session_, subject_, name_, op);
      ReferrersIndex index =
          document ? ReferrersIndex::parse(document->bytes, name_) : ReferrersIndex{};
      const auto digest = document ? std::optional(document->descriptor.digest) : std::nullopt;
      seen_.add_all(index);
      const bool lacks_ours = index.add(entry_);
      const bool lacks_others = index.add_all(seen_);
      if (!lacks_ours && !lacks_others) {
        if (is_first) {
          return; // of an earlier run
        }
        if (is_settled(digest, read_at)) {
          return;
        }
        http::wait(between(settle_ / 4, settle_ / 2), op);
        continue;
      }
      there_since_.reset();
      watched_.reset();
      if (writes_ > 0 && !has_waited_) {
        const milliseconds most = settle_ / 8 * std::min(1U << std::min(writes_, 5U), 16U);
        http::wait(lacks_ours ? between(milliseconds(0), most) : between(most, most * 2), op);
        has_waited_ = true;
        continue;
      }
      const Document changed = make_document(index, name_);
      if (measure_window(read_at) <= settle_ / settling_.windows || settle_ >= settling_.longest) {
        has_waited_ = false;
        write(changed, read_at, op);
      }
    }
  }

private:
  void write(const Document& document, Clock::time_point read_at, const Operation& op) {
    if (++writes_ > settling_.writes) {
      throw Error(ErrorCode::unavailable,
                  fmt::format("cannot update {}: others kept changing it, through {} tries", name_,
                              settling_.writes))
          .with_hint("try again");
    }
    try {
      static_cast<void>(
          send_manifest(session_, document, referrers_tag(subject_), name_, Repeat::never, op));
      failures_ = 0;
    } catch (const RegistryError& error) {
      const int status = error.answer().status;
      constexpr unsigned most_failures = 5;
      if ((status != 0 && !is_worth_repeating(status)) || ++failures_ == most_failures) {
        throw;
      }
      http::wait(http::retry_delay({}, failures_ + 1), op);
      return; // whatever became of it: it is read anew
    }
    measure_window(read_at);
    watched_ = document.descriptor.digest;
    there_since_ = unchanged_since_ = Clock::now();
  }

  /// The time since `read_at`; who sees long ones watches longer, since others will have them too.
  milliseconds measure_window(Clock::time_point read_at) {
    const auto window = std::chrono::duration_cast<milliseconds>(Clock::now() - read_at);
    settle_ = std::max(settle_, std::min(window * settling_.windows, settling_.longest));
    return window;
  }

  /// Whether what was asked for at `read_at` and is here now has been there for long enough.
  bool is_settled(const std::optional<oci::Digest>& digest, Clock::time_point read_at) {
    constexpr int patient = 4;
    const auto now = Clock::now();
    if (!there_since_) {
      there_since_ = now;
    }
    if (digest != watched_) {
      watched_ = digest;
      unchanged_since_ = now;
    }
    return read_at - unchanged_since_ >= settle_ || read_at - *there_since_ >= patient * settle_;
  }

  Session& session_;
  const oci::Digest subject_;
  const Referrer entry_;
  const std::string name_; ///< of the index, for messages
  const Settling settling_;
  ReferrersIndex seen_{};
  std::optional<oci::Digest> watched_{};           ///< what the tag named last
  Clock::time_point unchanged_since_{};            ///< it has named just that
  std::optional<Clock::time_point> there_since_{}; ///< no read lacked anything
  milliseconds settle_;
  unsigned writes_ = 0;
  unsigned failures_ = 0; ///< in a row
  bool has_waited_ = false;
};

} // namespace

SubjectReport publish_subject(Session& session, EndpointMemory& memory, const Document& document,
                              const http::Response& answer, const oci::Reference& repository,
                              const Operation& op, const Settling& settling) {
  const auto subject = subject_of(document);
  if (!subject) {
    return {};
  }
  if (answer.header("OCI-Subject")) {
    memory.set_has_referrers_api(true);
    return {.by_registry = true};
  }
  const std::string name = fmt::format(
      "index of referrers {}", quoted(full_name(repository, referrers_tag(subject->digest))));
  with_context(
      [&] {
        const auto turn =
            memory.index_turns().take(session.endpoint().repository + subject->digest.hex(), op);
        IndexUpdate(session, subject->digest, referrer_of(document), name, settling).run(op);
      },
      fmt::format("the registry holds {}, but it cannot be found from what it is about",
                  quoted(document.descriptor.digest.to_string())));
  return {};
}

} // namespace aipack::registry
