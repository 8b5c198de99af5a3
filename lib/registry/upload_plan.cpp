#include "upload_plan.hpp"

#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>

namespace aipack::registry {
namespace {

constexpr std::array<std::string_view, 3> way_names{"single", "stream", "chunks"};

Ability& ability_of(UploadFacts& facts, Way way) noexcept {
  switch (way) {
  case Way::single:
    return facts.single;
  case Way::stream:
    return facts.stream;
  case Way::chunks:
    return facts.chunks;
  }
  return facts.chunks;
}

/// Trouble that passes. 499 and 522 come from proxies: the client or the origin went away.
bool is_passing(int status) noexcept {
  return status == 0 || status == 408 || status == 429 || status == 499 ||
         (status >= 500 && status != 501 && status != 505);
}

} // namespace

std::string_view to_string(Way way) noexcept {
  return way_names[static_cast<std::size_t>(way)];
}

std::optional<Way> parse_way(std::string_view text) noexcept {
  const auto found = std::ranges::find(way_names, text);
  return found == way_names.end()
             ? std::nullopt
             : std::optional(static_cast<Way>(std::distance(way_names.begin(), found)));
}

std::optional<Way> choose_way(const WayQuestion& question) {
  switch (question.mode) {
  case UploadMode::single:
    return Way::single;
  case UploadMode::stream:
    return Way::stream;
  case UploadMode::chunked:
    return Way::chunks;
  case UploadMode::automatic:
    break;
  }
  struct Choice {
    Way way;
    bool is_sensible;
  };
  const std::array<Choice, 5> choices{
      {{Way::chunks, question.chunks_announced && question.size_bytes > question.chunk_bytes},
       {Way::single, question.digest_known},
       {Way::stream, true},
       {Way::chunks, true},
       {Way::single, true}}};
  const auto found = std::ranges::find_if(choices, [&](const Choice& choice) {
    return choice.is_sensible && !is_refused(question.facts, choice.way);
  });
  return found == choices.end() ? std::nullopt : std::optional(found->way);
}

bool is_refused(const UploadFacts& facts, Way way) noexcept {
  UploadFacts copy = facts;
  return ability_of(copy, way) == Ability::fails;
}

void set_ability(UploadFacts& facts, Way way, Ability ability) noexcept {
  ability_of(facts, way) = ability;
}

std::uint64_t first_chunk_bytes(std::uint64_t setting, std::uint64_t remembered,
                                std::uint64_t minimum) noexcept {
  const std::uint64_t wanted = setting != 0      ? setting
                               : remembered != 0 ? remembered
                                                 : default_chunk_bytes;
  return std::clamp(std::max(wanted, minimum), std::uint64_t{1}, max_chunk_bytes);
}

std::optional<std::uint64_t> smaller_chunk(std::uint64_t chunk_bytes, std::uint64_t minimum,
                                           int status) noexcept {
  std::uint64_t next = chunk_bytes / 2;
  if (status == 416) {
    next = std::min(next, common_chunk_limit);
  }
  return next >= std::max(minimum, least_chunk_bytes) ? std::optional(next) : std::nullopt;
}

std::optional<std::uint64_t> parse_stored(std::string_view range) noexcept {
  range = trim(range);
  for (const std::string_view unit : {"bytes=", "bytes "}) {
    if (range.starts_with(unit)) {
      range = trim(range.substr(unit.size()));
    }
  }
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos || !parse_decimal(range.substr(0, dash))) {
    return std::nullopt;
  }
  const auto last = parse_decimal(range.substr(dash + 1));
  return last && *last < UINT64_MAX ? std::optional(*last + 1) : std::nullopt;
}

Position after_piece(std::optional<std::uint64_t> reported, std::uint64_t end) noexcept {
  return {.offset = end, .doubtful = reported && *reported != end};
}

std::optional<Position> after_status(std::optional<std::uint64_t> reported, std::uint64_t confirmed,
                                     std::uint64_t piece_end, bool ranges_lie) noexcept {
  if (!reported) {
    return confirmed == piece_end ? std::optional(Position{confirmed, false}) : std::nullopt;
  }
  // "0-0" stands for one byte, and for none in the registries that cannot say "none".
  if (*reported == 1 && confirmed == 0) {
    return Position{0, false};
  }
  if (*reported > piece_end) {
    return ranges_lie ? std::optional(Position{confirmed, true}) : std::nullopt;
  }
  if (*reported < confirmed && ranges_lie) {
    return Position{confirmed, true};
  }
  return Position{*reported, false};
}

Remedy remedy_for(const Refusal& refusal) noexcept {
  const Remedy unless_fresh = refusal.fresh ? Remedy::other_way : Remedy::restart;
  if (refusal.status == 400 && refusal.digest_fault) { // some say SIZE_INVALID with a 413 as well
    return Remedy::wrong_bytes;
  }
  if (is_passing(refusal.status)) {
    return refusal.closing ? Remedy::look : Remedy::ask;
  }
  switch (refusal.status) {
  case 401: // the session has asked for another token meanwhile
    return Remedy::ask;
  case 400:
    if (refusal.session_fault) {
      return refusal.closing ? Remedy::look : unless_fresh;
    }
    return refusal.way == Way::chunks ? Remedy::other_way : Remedy::give_up;
  case 404:
  case 410:
    // A PUT may have been carried out before its answer was lost: then the session is over. Fresh,
    // it says that the registry does not take the body this way.
    return refusal.closing && !refusal.fresh ? Remedy::look : unless_fresh;
  case 405:
  case 411:
  case 415:
  case 501:
    return Remedy::other_way;
  case 413:
    return Remedy::smaller;
  case 416:
    return refusal.way == Way::chunks ? Remedy::ask : Remedy::smaller;
  default:
    return Remedy::give_up;
  }
}

} // namespace aipack::registry
