#include "referrers.hpp"

#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include "explain_body.hpp"
#include "link_header.hpp"
#include "manifests.hpp"
#include "referrers_index.hpp"
#include "repository.hpp"

#include <algorithm>
#include <functional>
#include <list>
#include <set>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

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

/// What the tag that stands in for the API names.
ReferrersIndex read_index(const Document& document, const oci::Digest& subject,
                          const std::string& name) {
  if (document.descriptor.media_type != oci::media_type::index) {
    throw Error(ErrorCode::already_exists,
                fmt::format("cannot use tag {} as the list of what refers to {}: it names {}, not "
                            "an index",
                            quoted(referrers_tag(subject)), quoted(subject.to_string()),
                            quoted(document.descriptor.media_type)))
        .with_hint("move that tag away");
  }
  return ReferrersIndex::parse(document.bytes, name);
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
  if (const auto index = try_fetch_manifest(session, referrers_tag(subject), document, op)) {
    collector.add(read_index(*index, subject, document), document);
  }
  return collector.take();
}

// --- writing ---

namespace {

Document make_document(const ReferrersIndex& index) {
  std::string bytes = index.bytes();
  oci::Descriptor descriptor{.media_type = std::string(oci::media_type::index),
                             .digest = oci::Digest::of(bytes),
                             .size_bytes = bytes.size()};
  return {.descriptor = std::move(descriptor), .bytes = std::move(bytes)};
}

/// Adds entries to an index of referrers. Those of others that were seen there, and lost again to
/// somebody's race, are put back.
class IndexMerge {
public:
  IndexMerge(const oci::Digest& subject, const std::list<Referrer>& entries,
             const std::string& name)
      : subject_(subject), entries_(entries), name_(name) {}

  Merged operator()(const Document* current) {
    ReferrersIndex index =
        current != nullptr ? read_index(*current, subject_, name_) : ReferrersIndex{};
    seen_.add_all(index);
    bool lacks_ours = false;
    for (const Referrer& entry : entries_) {
      lacks_ours |= index.add(entry);
    }
    const bool lacks_others = index.add_all(seen_);
    if (!lacks_ours && !lacks_others) {
      return {};
    }
    return {.changed = make_document(index), .lacks_ours = lacks_ours};
  }

private:
  const oci::Digest& subject_;
  const std::list<Referrer>& entries_;
  const std::string& name_; ///< of the index, for messages
  ReferrersIndex seen_{};
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
  const std::string name =
      fmt::format("index of referrers {}", full_name(repository, referrers_tag(subject->digest)));
  with_context(
      [&] {
        // One read, merge, write and watch for all that this process has to add by then.
        const std::string tag = referrers_tag(subject->digest);
        const std::string key = session.endpoint().repository + ":" + tag;
        memory.index_updates().run(
            key, referrer_of(document),
            [&](const std::list<Referrer>& entries, const Operation& inner) {
              const auto turn = memory.tag_turns().take(key, inner);
              IndexMerge merge(subject->digest, entries, name);
              update_tag(
                  session, tag, name, std::ref(merge),
                  [&](const Operation& waiting) { return memory.lock_tag(key, waiting); }, inner,
                  settling);
            },
            op);
      },
      fmt::format("the registry holds {}, but it cannot be found from what it is about",
                  quoted(document.descriptor.digest.to_string())));
  return {};
}

} // namespace aipack::registry
