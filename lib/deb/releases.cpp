#include "releases.hpp"

#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/temp_file.hpp"

#include "release.hpp"
#include "source.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::deb {
namespace {

/// A snapshot of the next platform within this time sees the same releases without asking again:
/// one build, one state of the archive.
constexpr std::chrono::seconds release_reuse{60};

} // namespace

bool is_recent(std::int64_t asked, const ArchiveOptions& options) noexcept {
  // One from the future is a clock that was set back.
  const std::int64_t age = options.verify.now - asked;
  return asked > 0 && age >= 0 && age < options.ask_again_after.count();
}

/// The last verified InRelease of a source, and by what to ask for a newer one. One file, so that
/// its parts cannot come apart: a line of JSON, then the InRelease file byte by byte. It says
/// nothing about the signature (verdict.hpp).
struct ReleaseState {
  std::string in_release;
  std::string etag{};
  std::string last_modified{};
  std::int64_t date = 0;  ///< of the newest release seen: an older one is a replay
  std::int64_t asked = 0; ///< when the mirror said last that this is its newest; 0: unknown
  bool operator==(const ReleaseState&) const = default;

  [[nodiscard]] std::string to_string() const {
    const nlohmann::json head{{"version", 1}, {"digest", oci::Digest::of(in_release).to_string()},
                              {"etag", etag}, {"last_modified", last_modified},
                              {"date", date}, {"asked", asked}};
    return head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n" + in_release;
  }

  /// Empty for a file that is broken in any way: then it is as if there were none.
  static std::optional<ReleaseState> parse(std::string_view text) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      return std::nullopt;
    }
    try {
      const auto head = nlohmann::json::parse(text.substr(0, end));
      ReleaseState state{.in_release = std::string(text.substr(end + 1)),
                         .etag = head.at("etag").get<std::string>(),
                         .last_modified = head.at("last_modified").get<std::string>(),
                         .date = head.at("date").get<std::int64_t>(),
                         .asked = head.value("asked", std::int64_t{0})};
      if (head.at("version") != 1 ||
          head.at("digest") != oci::Digest::of(state.in_release).to_string()) {
        return std::nullopt;
      }
      return state;
    } catch (const nlohmann::json::exception&) {
      return std::nullopt;
    }
  }
};

/// What one source's releases went through in this object. The mutex makes parallel snapshots wait
/// for one download.
struct Releases::Slot {
  std::mutex mutex{};
  std::optional<Release> release{};
  std::chrono::steady_clock::time_point at{};
  bool must_ask = false; ///< what earlier processes heard does not count
  bool was_asked = false;
};

Releases::Releases(http::HttpTransport& transport, const ArchiveOptions& options)
    : transport_(transport), options_(options), verdicts_(options.verdict_key) {}
Releases::~Releases() = default;

std::vector<Release> Releases::newest(std::span<const Source> sources, const Operation& op) {
  return map_each<Release>(
      sources, options_.concurrency, op,
      [&](const Source& source, const Operation& inner) { return release_of(source, inner); });
}

std::shared_ptr<Releases::Slot> Releases::slot_of(const Source& source) {
  const std::lock_guard lock(mutex_);
  auto& place = slots_[source.mirror + " " + source.suite];
  if (!place) {
    place = std::make_shared<Slot>();
  }
  return place;
}

bool Releases::ask_again(std::span<const Source> sources) {
  bool changes = false;
  for (const Source& source : sources) {
    const auto slot = slot_of(source);
    const std::lock_guard lock(slot->mutex);
    if (!options_.offline && slot->release && !slot->was_asked) {
      slot->release.reset();
      slot->must_ask = true;
    }
    changes = changes || slot->must_ask; // perhaps by another platform, a moment ago
  }
  return changes;
}

Release Releases::release_of(const Source& source, const Operation& op) {
  const auto slot = slot_of(source);
  const std::lock_guard lock(slot->mutex);
  op.check();
  if (!slot->release || std::chrono::steady_clock::now() - slot->at > release_reuse) {
    slot->release = with_context([&] { return current_release(source, *slot, op); },
                                 fmt::format("while reading suite {}", display(source)));
    slot->at = std::chrono::steady_clock::now();
  }
  return *slot->release;
}

std::filesystem::path Releases::cache_path(std::string_view folder, const Source& source) const {
  const std::string key = fmt::format("{}\n{}", source.mirror, source.suite);
  return options_.cache_dir / folder / oci::Digest::of(key).hex().substr(0, 32);
}

std::optional<ReleaseState> Releases::read_state(const Source& source) const {
  const auto path = cache_path("releases", source);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return std::nullopt;
  }
  return ReleaseState::parse(
      io::read_text_file(path, max_release_bytes + (std::uint64_t{64} << 10)));
}

Release Releases::current_release(const Source& source, Slot& slot, const Operation& op) {
  const auto state = read_state(source);
  if (options_.offline && !state) {
    throw missing_offline("read suite " + display(source));
  }
  slot.was_asked =
      !options_.offline && (slot.must_ask || !state || !is_recent(state->asked, options_));
  const auto judge = [&](std::string_view message, std::string_view name) {
    return verdicts_.verify_once(cache_path("verdicts", source), *keyring(), message, name,
                                 options_.verify.now);
  };
  const auto verified = [&](const ReleaseState& candidate) {
    return verify_release(candidate.in_release, source.suite, judge, options_.verify);
  };
  ReleaseState next = slot.was_asked ? newest_state(source, state, op) : *state;
  std::optional<Release> release;
  try {
    release = verified(next);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt || options_.offline || !state ||
        next.in_release != state->in_release) {
      throw;
    }
    // What the mirror calls unchanged is not what it once sent: all of it, once more.
    slot.was_asked = true;
    next = newest_state(source, std::nullopt, op);
    release = verified(next);
  }
  if (state && release->date < state->date && !options_.verify.ignore_valid_until) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot use InRelease of {}: the mirror serves the one of {}, older "
                            "than that of {} seen before",
                            display(source), to_date_text(release->date),
                            to_date_text(state->date)))
        .with_hint("the mirror is behind or replays old files: use another one; "
                   "--ignore-valid-until waives the check");
  }
  // A waived check must not lower what later runs compare with.
  next.date = std::max(release->date, state ? state->date : release->date);
  if (slot.was_asked && options_.ask_again_after.count() > 0) {
    next.asked = options_.verify.now;
  }
  if (!state || next != *state) {
    io::write_file_atomically(cache_path("releases", source), io::as_bytes(next.to_string()));
  }
  return std::move(*release);
}

/// What the mirror has now, not verified yet.
ReleaseState Releases::newest_state(const Source& source, const std::optional<ReleaseState>& state,
                                    const Operation& op) {
  const http::Response response = request_in_release(source, state, op);
  if (response.status == 304 && state) {
    return *state;
  }
  if (response.status != 200) {
    throw http::status_error("fetch", response);
  }
  return {.in_release = response.body,
          .etag = response.header("ETag").value_or(""),
          .last_modified = response.header("Last-Modified").value_or("")};
}

http::Response Releases::request_in_release(const Source& source,
                                            const std::optional<ReleaseState>& state,
                                            const Operation& op) {
  http::Request request;
  request.url = url_below(source, fmt::format("dists/{}/InRelease", source.suite));
  request.max_body_bytes = max_release_bytes;
  // A proxy must ask its origin: yesterday's InRelease names indexes that are gone.
  request.headers.push_back({"Cache-Control", "max-age=0"});
  if (state && !state->etag.empty()) {
    request.headers.push_back({"If-None-Match", state->etag});
  }
  if (state && !state->last_modified.empty()) {
    request.headers.push_back({"If-Modified-Since", state->last_modified});
  }
  const Activity activity(op, fmt::format("fetch InRelease of {}", source.suite));
  return http::perform_with_retries(transport_, request, activity.child(), options_.retry);
}

std::shared_ptr<Keyring> Releases::keyring() {
  const std::lock_guard lock(mutex_);
  if (!keyring_) {
    keyring_ = Keyring::open(options_.verify.keyrings);
  }
  return keyring_;
}

} // namespace aipack::deb
