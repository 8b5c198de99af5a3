#include "upload_run.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

/// A broken transfer that brought less is one that brought nothing: there must be an end.
constexpr std::uint64_t least_progress_bytes = std::uint64_t{64} << 10;

/// More sessions for one blob than all ways and chunk sizes together can need.
constexpr unsigned max_restarts = 64;

/// Errors after which nobody goes on with the session: what is asked for is refused, or the local
/// bytes are not what they were. The others may pass: the next call takes the session up.
bool is_final(ErrorCode code) noexcept {
  return code != ErrorCode::unavailable && code != ErrorCode::cancelled &&
         code != ErrorCode::unauthenticated;
}

http::RetryPolicy policy_of(const Patience& patience) {
  return {.attempts = patience.attempts,
          .first_delay = patience.first_delay,
          .max_delay = patience.max_delay,
          .max_retry_after = patience.max_retry_after};
}

std::uint64_t announced_minimum(const http::Response& response) {
  const auto value = parse_decimal(response.header("OCI-Chunk-Min-Length").value_or(""));
  return value && *value <= max_chunk_bytes ? *value : 0;
}

std::optional<std::uint64_t> stored_by(const http::Response& response) {
  const auto range = response.header("Range");
  return range ? parse_stored(*range) : std::nullopt;
}

} // namespace

Presence find_blob(Session& session, const std::string& verb, const oci::Digest& digest,
                   std::uint64_t size_bytes, const Operation& op) {
  try {
    const auto response = session.send(
        {.verb = verb,
         .method = "HEAD",
         .target = api_path(session.endpoint().repository, "blobs", digest.to_string()),
         .accepted = {200, 404}},
        op);
    const auto length = parse_decimal(response.header("Content-Length").value_or(""));
    const bool is_ours = !length || *length == size_bytes;
    return response.status == 200 && is_ours ? Presence::there : Presence::absent;
  } catch (const RegistryError& error) {
    if (error.answer().status == 0 || is_worth_repeating(error.answer().status)) {
      throw;
    }
    return Presence::unknown; // not allowed to ask, or a registry that does not know HEAD
  }
}

/// A piece on its way: counted, shown, and stopped when the caller asks to.
class UploadRun::Counted final : public io::ByteSource {
public:
  Counted(UploadRun& run, std::uint64_t begin, std::uint64_t end)
      : run_(run), source_(run.content_.open(begin, end)), at_(begin) {}

  std::size_t read(std::span<std::byte> into) override {
    run_.op_.check();
    const std::size_t count = source_->read(into);
    const std::uint64_t end = at_ + count;
    run_.report_.sent_bytes += count;
    run_.report_.resent_bytes += std::clamp(run_.mark_, at_, end) - at_;
    run_.activity_.advance(count);
    if (end > run_.mark_) {
      run_.mark_ = end;
      if (run_.journal_) {
        run_.journal_->set_mark(end);
      }
    }
    at_ = end;
    return count;
  }

private:
  UploadRun& run_;
  std::unique_ptr<io::ByteSource> source_;
  std::uint64_t at_;
};

UploadRun::UploadRun(const UploadPlace& place, UploadContent& content, UploadKey key,
                     std::string verb, UploadReport& report, const Operation& op)
    : place_(place), content_(content), verb_(std::move(verb)), report_(report), op_(op),
      activity_(op, verb_, content.size_bytes()), facts_(place.memory.upload_facts()),
      known_facts_(facts_) {
  report_.arrival = Arrival::uploaded;
  state_.key = std::move(key);
  if (content_.size_bytes() < whole_below_bytes) {
    return;
  }
  journal_ = UploadJournal::open(place_.journal_dir, state_.key);
  if (journal_ && journal_->found()) {
    state_ = *journal_->found();
    mark_ = journal_->found_mark();
    is_taken_up_ = true;
    is_fresh_ = false;
    has_broken_ = true;
    report_.arrival = Arrival::resumed;
  }
}

void UploadRun::adopt(const http::Response& opened) {
  cancel_session(spare_location_);
  if (const auto location = opened.header("Location")) {
    spare_location_ = http::resolve_url(opened.url, *location);
    spare_minimum_ = announced_minimum(opened);
  }
}

void UploadRun::run() {
  try {
    Step step = is_taken_up_ ? Step::ask : Step::open;
    while (step != Step::done) {
      op_.check();
      step = take(step);
    }
    finish();
  } catch (const Error& error) {
    if (is_final(error.code())) {
      abandon();
    }
    throw;
  }
}

void UploadRun::abandon() noexcept {
  cancel_session(std::exchange(state_.location, {}));
  cancel_session(std::exchange(spare_location_, {}));
  if (journal_) {
    journal_->remove();
  }
}

UploadRun::Step UploadRun::take(Step step) {
  switch (step) {
  case Step::open:
    return open_session();
  case Step::send:
    return send_piece();
  case Step::close:
    return close();
  case Step::look:
    return look();
  case Step::ask:
    return ask();
  case Step::done:
    break;
  }
  return Step::done;
}

// --- steps ---

UploadRun::Step UploadRun::open_session() {
  std::string location = std::exchange(spare_location_, {});
  std::uint64_t minimum = spare_minimum_;
  if (location.empty()) {
    Call request =
        call("POST", api_path(state_.key.repository, "blobs/uploads", ""), {202}, Repeat::safe);
    request.headers.push_back({"Content-Length", "0"});
    const http::Response opened = place_.session.send(request, inner());
    const auto named = opened.header("Location");
    if (!named) {
      throw Error(ErrorCode::unavailable,
                  fmt::format("cannot {}: {} opened an upload but did not say where", verb_,
                              quoted(place_.session.endpoint().host)));
    }
    location = http::resolve_url(opened.url, *named);
    minimum = announced_minimum(opened);
  }
  const Endpoint& endpoint = place_.session.endpoint();
  state_.location = std::move(location);
  state_.min_chunk_bytes = minimum;
  state_.chunk_bytes = std::max(
      std::min(first_chunk_bytes(endpoint.chunk_bytes, facts_.chunk_bytes, minimum), chunk_limit_),
      minimum);
  state_.confirmed_bytes = 0;
  state_.piece_end = 0;
  state_.doubtful = false;
  is_fresh_ = true;
  has_broken_ = false;
  choose();
  activity_.restart();
  return content_.size_bytes() == 0 ? Step::close : Step::send;
}

void UploadRun::choose() {
  const auto way = choose_way({.mode = place_.session.endpoint().upload,
                               .facts = facts_,
                               .size_bytes = content_.size_bytes(),
                               .chunk_bytes = state_.chunk_bytes,
                               .digest_known = content_.digest_known(),
                               .chunks_announced = state_.min_chunk_bytes != 0});
  if (!way) {
    give_up();
  }
  state_.way = *way;
  if (*way == Way::single && !content_.digest_known()) {
    static_cast<void>(content_.digest(inner()));
  }
}

UploadRun::Step UploadRun::send_piece() {
  const std::uint64_t begin = state_.confirmed_bytes;
  const std::uint64_t rest = content_.size_bytes() - begin;
  const std::uint64_t length =
      state_.way == Way::chunks ? std::min(rest, state_.chunk_bytes) : rest;
  const std::uint64_t end = begin + length;
  state_.piece_end = std::max(state_.piece_end, end);
  refused_range_ = false;
  save();

  const bool closing = state_.way == Way::single;
  Call request = closing ? call("PUT", closing_target(), {200, 201, 202, 204}, Repeat::never)
                         : call("PATCH", state_.location, {200, 201, 202, 204}, Repeat::never);
  request.headers.push_back({"Content-Type", "application/octet-stream"});
  if (state_.way == Way::chunks) {
    request.headers.push_back({"Content-Range", fmt::format("{}-{}", begin, end - 1)});
  } else {
    // A 401 may come in the middle: a body without a range that is simply repeated would then be
    // there one and a half times. The status request gets the new token.
    request.accepted.push_back(401);
  }
  request.transfer.body = [&] { return std::make_unique<Counted>(*this, begin, end); };
  request.transfer.body_bytes = length;
  request.transfer.repeat_body = false; // the registry may have a part: it is asked
  http::Response response;
  try {
    response = place_.session.send(request, inner());
    if (response.status == 401) {
      throw explain(request, response, 1);
    }
  } catch (const RegistryError& error) {
    if (const auto failure = content_.failure()) {
      std::rethrow_exception(failure); // by another registry, perhaps
    }
    last_failure_ = std::current_exception();
    return recover(error, closing, true);
  }
  failures_ = 0;
  if (closing) {
    return stored(response);
  }
  take_location(response, state_.location);
  const Position position = after_piece(stored_by(response), end);
  state_.confirmed_bytes = position.offset;
  if (position.doubtful) {
    state_.doubtful = true;
    facts_.ranges_lie = true;
  }
  is_fresh_ = false;
  save();
  return end == content_.size_bytes() ? Step::close : Step::send;
}

UploadRun::Step UploadRun::close() {
  http::Response response;
  try {
    response = place_.session.send(
        call("PUT", closing_target(), {200, 201, 202, 204}, Repeat::never), inner());
  } catch (const RegistryError& error) {
    last_failure_ = std::current_exception();
    return recover(error, true, false);
  }
  return stored(response);
}

/// The registry says that it has the blob. Where there is doubt, it is asked for it: its length
/// must be ours.
UploadRun::Step UploadRun::stored(const http::Response& response) {
  const std::string digest = content_.digest(inner()).to_string();
  const std::string named = response.header("Docker-Content-Digest").value_or(digest);
  const bool sure =
      (response.status == 201 || response.status == 204) && !state_.doubtful && named == digest;
  const Presence presence = sure ? Presence::there : find_this();
  if (named != digest && presence != Presence::there) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot {}: {} stored it under another digest, {}", verb_,
                            quoted(place_.session.endpoint().host), quoted(named)));
  }
  return presence == Presence::absent ? wrong_bytes() : Step::done;
}

UploadRun::Step UploadRun::look() {
  return find_this() == Presence::there ? Step::done : Step::ask;
}

UploadRun::Step UploadRun::ask() {
  http::Response response;
  try {
    response =
        place_.session.send(call("GET", state_.location, {200, 202, 204}, Repeat::safe), inner());
  } catch (const RegistryError& error) {
    const int status = error.answer().status;
    if (status == 0 || status == 401 || status == 403 || is_worth_repeating(status)) {
      throw;
    }
    if (!last_failure_) {
      last_failure_ = std::current_exception();
    }
    if (status != 404 && status != 410) {
      cancel_session(state_.location); // it may be there, only nobody can ask about it
    }
    return lost(fmt::format("the registry could not continue it (status {})", status));
  }
  take_location(response, state_.location);
  const auto position = after_status(stored_by(response), state_.confirmed_bytes, state_.piece_end,
                                     facts_.ranges_lie);
  if (!position) {
    cancel_session(state_.location);
    return lost("the registry does not tell how much of it there is");
  }
  return go_on_at(*position);
}

/// The registry has `position`; decides how the rest goes.
UploadRun::Step UploadRun::go_on_at(const Position& position) {
  if (position.offset >= state_.confirmed_bytes + least_progress_bytes) {
    failures_ = 0;
  }
  if (position.offset < state_.confirmed_bytes && ++losses_ > place_.patience.attempts) {
    give_up(); // a registry that takes back what it has confirmed, again and again
  }
  const bool moved = position.offset != state_.confirmed_bytes || !refused_range_;
  const std::uint64_t unconfirmed = state_.piece_end - std::min(state_.piece_end, position.offset);
  state_.confirmed_bytes = position.offset;
  state_.piece_end = position.offset;
  state_.doubtful = state_.doubtful || position.doubtful;
  content_.hash_up_to(position.offset, inner());
  activity_.restart();
  activity_.advance(position.offset);
  if (!moved && position.doubtful) {
    cancel_session(state_.location);
    return lost("the registry does not tell how much of it there is");
  }
  if (!moved) {
    // The range was as the registry has it. Either it refuses the length, or it does not know
    // itself where the upload stands: where settings allow no other way, a new session is what is
    // left.
    const bool only_chunks = place_.session.endpoint().upload == UploadMode::chunked;
    if (only_chunks && (position.offset > 0 || has_broken_) &&
        !smaller_chunk(state_.chunk_bytes, state_.min_chunk_bytes, 416)) {
      cancel_session(state_.location);
      return lost("the registry does not go on where it says that it is");
    }
    return smaller(416);
  }
  if (position.offset == content_.size_bytes()) {
    return Step::close;
  }
  // What broke goes on in chunks: one more break then costs one of them.
  const bool needs_chunks = position.offset > 0;
  const bool wants_chunks = unconfirmed > state_.chunk_bytes;
  if (state_.way != Way::chunks && (needs_chunks || wants_chunks)) {
    if (may_use_chunks()) {
      state_.way = Way::chunks;
    } else if (needs_chunks) {
      cancel_session(state_.location);
      return lost("the registry takes no chunks");
    }
  }
  return Step::send;
}

// --- what goes wrong ---

UploadRun::Step UploadRun::recover(const RegistryError& error, bool closing, bool had_body) {
  const Refusal refusal{.way = state_.way,
                        .closing = closing,
                        .fresh = is_fresh_ && had_body,
                        .status = error.answer().status,
                        .digest_fault = error.has("DIGEST_INVALID") || error.has("SIZE_INVALID"),
                        .session_fault =
                            error.has("BLOB_UPLOAD_INVALID") || error.has("BLOB_UPLOAD_UNKNOWN")};
  is_fresh_ = false;
  has_broken_ = has_broken_ || (had_body && refusal.status != 416);
  if (refusal.status == 0 && error.code() != ErrorCode::unavailable) {
    give_up(); // the session did not want to send it: a place where it may not go
  }
  switch (remedy_for(refusal)) {
  case Remedy::ask:
    refused_range_ = refusal.status == 416;
    count_failure(!refused_range_);
    return Step::ask;
  case Remedy::look:
    count_failure(true);
    return Step::look;
  case Remedy::smaller:
    return smaller(refusal.status);
  case Remedy::other_way:
    return other_way();
  case Remedy::restart:
    return lost(fmt::format("the registry had lost it (status {})", refusal.status));
  case Remedy::wrong_bytes:
    return wrong_bytes();
  case Remedy::give_up:
    break;
  }
  give_up();
}

UploadRun::Step UploadRun::other_way() {
  const Way refused = state_.way;
  set_ability(facts_, refused, Ability::fails);
  choose();
  if (state_.way == refused) {
    give_up(); // settings allow no other
  }
  cancel_session(state_.location);
  return restart(fmt::format("the registry does not take it as {}", to_string(refused)));
}

UploadRun::Step UploadRun::smaller(int status) {
  if (state_.way != Way::chunks) {
    if (!may_use_chunks()) {
      give_up();
    }
    facts_.single = facts_.stream = Ability::fails; // of large blobs; small ones do not ask
  } else if (const auto next = smaller_chunk(state_.chunk_bytes, state_.min_chunk_bytes, status)) {
    chunk_limit_ = *next;
  } else {
    return other_way();
  }
  cancel_session(state_.location);
  return restart(fmt::format("the registry takes no pieces of that size (status {})", status));
}

UploadRun::Step UploadRun::wrong_bytes() {
  if (state_.way == Way::chunks && place_.session.endpoint().upload == UploadMode::automatic) {
    return other_way(); // the registry counts chunks in a way of its own
  }
  if (++wrong_bytes_ > 1) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot {}: what arrives at {} is not what was sent", verb_,
                            quoted(place_.session.endpoint().host)))
        .with_hint("the file, the memory of this machine or a proxy is damaged");
  }
  cancel_session(state_.location);
  return restart("what had arrived was damaged");
}

UploadRun::Step UploadRun::lost(std::string_view reason) {
  if (++losses_ > place_.patience.attempts) {
    give_up();
  }
  return restart(reason);
}

UploadRun::Step UploadRun::restart(std::string_view reason) {
  if (++restarts_ > max_restarts) {
    give_up();
  }
  if (mark_ > 0) {
    report_.note = fmt::format("the interrupted upload started over: {}", reason);
  }
  report_.arrival = Arrival::uploaded;
  state_.location.clear();
  return Step::open;
}

void UploadRun::count_failure(bool wait) {
  if (++failures_ >= place_.patience.attempts) {
    give_up();
  }
  if (wait) {
    http::wait(http::retry_delay(policy_of(place_.patience), failures_ + 1), op_);
  }
}

void UploadRun::give_up() const {
  if (last_failure_) {
    std::rethrow_exception(last_failure_);
  }
  throw Error(ErrorCode::unsupported, fmt::format("cannot {}: {} took it in no way that there is",
                                                  verb_, quoted(place_.session.endpoint().host)));
}

bool UploadRun::may_use_chunks() const {
  const UploadMode mode = place_.session.endpoint().upload;
  return (mode == UploadMode::automatic || mode == UploadMode::chunked) &&
         !is_refused(facts_, Way::chunks);
}

// --- requests ---

Call UploadRun::call(std::string method, std::string target, std::vector<int> accepted,
                     Repeat repeat) const {
  return {.verb = verb_,
          .method = std::move(method),
          .target = std::move(target),
          .accepted = std::move(accepted),
          .repeat = repeat};
}

Presence UploadRun::find_this() {
  return find_blob(place_.session, verb_, content_.digest(inner()), content_.size_bytes(), inner());
}

/// The session's location is opaque: the digest is added to its query.
std::string UploadRun::closing_target() {
  const char separator = state_.location.find('?') == std::string::npos ? '?' : '&';
  return fmt::format("{}{}digest={}", state_.location, separator,
                     percent_encoded(content_.digest(inner()).to_string()));
}

/// Always the newest: some registries keep the state of an upload in it.
void UploadRun::take_location(const http::Response& response, const std::string& base) {
  if (const auto location = response.header("Location"); location && !location->empty()) {
    state_.location = http::resolve_url(response.url.empty() ? base : response.url, *location);
  }
}

void UploadRun::save() {
  if (journal_) {
    journal_->write(state_);
  }
}

/// Best effort, so that the registry need not keep what nobody is going to finish.
void UploadRun::cancel_session(const std::string& location) noexcept {
  if (location.empty()) {
    return;
  }
  try {
    static_cast<void>(place_.session.send(call("DELETE", location, {}, Repeat::never), inner()));
  } catch (const std::exception&) {
    // It goes when it is old.
  }
}

void UploadRun::finish() {
  cancel_session(std::exchange(spare_location_, {}));
  if (journal_) {
    journal_->remove();
  }
  if (content_.size_bytes() >= whole_below_bytes) {
    set_ability(facts_, state_.way, Ability::works);
    if (state_.way == Way::chunks) {
      facts_.chunk_bytes = state_.chunk_bytes;
    }
    if (facts_ != known_facts_) {
      place_.memory.remember(facts_);
    }
  }
  place_.memory.saw_blob(content_.digest(inner()));
}

} // namespace aipack::registry
