#include "tag_update.hpp"

#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include "manifests.hpp"

#include <algorithm>
#include <random>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

milliseconds between(milliseconds low, milliseconds high) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<std::int64_t>(
      low.count(), std::max(low, high).count())(random));
}

class TagUpdate {
public:
  TagUpdate(Session& session, std::string_view tag, const std::string& name, const TagMerge& merge,
            const TagTurn& take_turn, const Settling& settling)
      : session_(session), tag_(tag), name_(name), merge_(merge), take_turn_(take_turn),
        settling_(settling), settle_(settling.shortest) {}

  Document run(const Operation& op) {
    for (bool is_first = true;; is_first = false) {
      const auto read_at = Clock::now();
      auto current = try_fetch_manifest(session_, tag_, name_, op);
      const auto merged = checked(merge_(current ? &*current : nullptr), current);
      if (!merged.changed) {
        if (is_first || is_settled(current->descriptor.digest, read_at)) {
          return *std::move(current);
        }
        turn_.reset();
        http::wait(between(settle_ / 4, settle_ / 2), op);
        continue;
      }
      there_since_.reset();
      watched_.reset();
      if (writes_ > 0 && !has_waited_) {
        turn_.reset();
        const milliseconds most = settle_ / 8 * std::min(1U << std::min(writes_, 5U), 16U);
        http::wait(merged.lacks_ours ? between(milliseconds(0), most) : between(most, most * 2),
                   op);
        has_waited_ = true;
        continue;
      }
      if (has_turns_ && !turn_) {
        turn_ = take_turn_(op);
        has_turns_ = turn_ != nullptr;
        if (has_turns_) {
          continue; // read while nobody writes
        }
      }
      // The limit of before: a late one raises it, for those that come after it.
      const auto limit = settle_ / settling_.windows;
      if (measure_window(read_at) <= limit || settle_ >= settling_.longest) {
        has_waited_ = false;
        write(*merged.changed, read_at, op);
        turn_.reset();
      }
    }
  }

private:
  /// A merge that changes nothing has nothing to write, however it says so.
  [[nodiscard]] Merged checked(Merged merged, const std::optional<Document>& current) const {
    if (!merged.changed) {
      if (!current) {
        throw Error(
            ErrorCode::invalid_input,
            fmt::format("cannot update {}: there is none, and nothing to write", quoted(name_)));
      }
      return merged;
    }
    const Document& changed = *merged.changed;
    if (changed.bytes.size() > oci::max_manifest_bytes) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot update {}: it would be larger than {} bytes", quoted(name_),
                              oci::max_manifest_bytes));
    }
    if (oci::Digest::of(changed.bytes) != changed.descriptor.digest) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot update {}: {} is the digest of other bytes", quoted(name_),
                              quoted(changed.descriptor.digest.to_string())));
    }
    if (current && current->descriptor.digest == changed.descriptor.digest) {
      merged.changed.reset();
    }
    return merged;
  }

  void write(const Document& document, Clock::time_point read_at, const Operation& op) {
    if (++writes_ > settling_.writes) {
      throw Error(ErrorCode::unavailable,
                  fmt::format("cannot update {}: others kept changing it, through {} tries",
                              quoted(name_), settling_.writes))
          .with_hint("try again");
    }
    try {
      static_cast<void>(send_manifest(session_, document, tag_, name_, Repeat::never, op));
      failures_ = 0;
    } catch (const RegistryError& error) {
      const int status = error.answer().status;
      constexpr unsigned most_failures = 5;
      const bool may_pass = status == 0 || is_worth_repeating(status) || means_blob_unknown(error);
      if (!may_pass || ++failures_ == most_failures) {
        throw;
      }
      turn_.reset();
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
  bool is_settled(const oci::Digest& digest, Clock::time_point read_at) {
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
  const std::string tag_;
  const std::string& name_;
  const TagMerge& merge_;
  const TagTurn& take_turn_;
  const Settling settling_;
  bool has_turns_ = true;                          ///< as far as is known
  std::unique_ptr<io::FileLock> turn_{};           ///< ours, from reading to writing
  std::optional<oci::Digest> watched_{};           ///< what the tag named last
  Clock::time_point unchanged_since_{};            ///< it has named just that
  std::optional<Clock::time_point> there_since_{}; ///< no read lacked anything
  milliseconds settle_;
  unsigned writes_ = 0;
  unsigned failures_ = 0; ///< in a row
  bool has_waited_ = false;
};

} // namespace

Document update_tag(Session& session, std::string_view tag, const std::string& name,
                    const TagMerge& merge, const TagTurn& take_turn, const Operation& op,
                    const Settling& settling) {
  return TagUpdate(session, tag, name, merge, take_turn, settling).run(op);
}

} // namespace aipack::registry
