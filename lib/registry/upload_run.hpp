#pragma once

#include "upload.hpp"
#include "upload_content.hpp"
#include "upload_journal.hpp"
#include "upload_plan.hpp"

#include <cstdint>
#include <exception>
#include <optional>
#include <string>

namespace aipack::registry {

/// Whether a repository has a blob, as far as it says. One of another size counts as absent:
/// whatever the registry has there, it is not this blob.
enum class Presence { there, absent, unknown };
[[nodiscard]] Presence find_blob(Session& session, const std::string& verb,
                                 const oci::Digest& digest, std::uint64_t size_bytes,
                                 const Operation& op);

/// One blob on its way into a repository, from an open session (an earlier process's, a mount
/// request's or a new one) to the blob that is there. upload_plan.hpp decides; this makes the
/// requests and remembers.
///
///            ┌── restart, other way, smaller chunks ──┐
///     open ──┴─► send ──► send … ──► close ──► done   │
///                  │ broken, 416       │ broken, 404  │
///                  ▼                   ▼              │
///                 ask ◄── absent ──── look ─► done    │
///                  └─► send | close | ────────────────┘
class UploadRun {
public:
  /// Takes up the journal that an earlier upload of the same key left.
  UploadRun(const UploadPlace& place, UploadContent& content, UploadKey key, std::string verb,
            UploadReport& report, const Operation& op);

  /// A session that a mount request opened: used instead of a new one.
  void adopt(const http::Response& opened);
  /// The blob came another way: nothing of this remains.
  void abandon() noexcept;
  /// When it returns, the blob is in the repository. A session that nobody can go on with is
  /// cancelled; one that the next call may take up stays, with its journal.
  void run();

private:
  enum class Step { open, send, close, look, ask, done };
  class Counted;

  Step take(Step step);
  Step open_session();
  Step send_piece();
  Step close();
  Step look();
  Step ask();

  Step stored(const http::Response& response);
  Step recover(const RegistryError& error, bool closing, bool had_body);
  Step other_way();
  Step smaller(int status);
  Step wrong_bytes();
  /// The same as restart(), through no choice of ours: there are only so many of these.
  Step lost(std::string_view reason);
  /// A new session; `reason` is for the report when bytes had been sent to the old one.
  Step restart(std::string_view reason);
  Step go_on_at(const Position& position);

  [[nodiscard]] Presence find_this();
  [[nodiscard]] Call call(std::string method, std::string target, std::vector<int> accepted,
                          Repeat repeat) const;
  [[nodiscard]] std::string closing_target();
  void take_location(const http::Response& response, const std::string& base);
  void choose();
  void save();
  void cancel_session(const std::string& location) noexcept;
  void finish();
  /// Gives up once nothing has moved for as many tries as patience allows; else waits.
  void count_failure(bool wait);
  [[noreturn]] void give_up() const;
  [[nodiscard]] bool may_use_chunks() const;
  [[nodiscard]] Operation inner() const { return activity_.child(); }

  const UploadPlace& place_;
  UploadContent& content_;
  const std::string verb_;
  UploadReport& report_;
  const Operation& op_;
  Activity activity_;

  std::optional<UploadJournal> journal_{};
  UploadRecord state_;           ///< what the journal holds
  bool is_taken_up_ = false;     ///< the session is another process's
  bool is_fresh_ = true;         ///< nothing went wrong with the session yet
  bool has_broken_ = false;      ///< a piece did: the registry may have a part that it hides
  std::string spare_location_{}; ///< of a session that nothing was sent to
  std::uint64_t spare_minimum_ = 0;
  std::uint64_t mark_ = 0; ///< bytes before it were given to the network before
  UploadFacts facts_;
  const UploadFacts known_facts_;

  unsigned failures_ = 0; ///< since something moved
  unsigned losses_ = 0;   ///< of what a registry had: each costs as much as the blob is long
  unsigned restarts_ = 0;
  unsigned wrong_bytes_ = 0;
  std::uint64_t chunk_limit_ = max_chunk_bytes; ///< chunks of more were refused
  bool refused_range_ = false;                  ///< the last piece was answered with 416
  std::exception_ptr last_failure_{};
};

} // namespace aipack::registry
