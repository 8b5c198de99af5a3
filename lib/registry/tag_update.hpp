#pragma once

#include "aipack/io/temp_file.hpp"
#include "aipack/registry/registry.hpp"

#include "session.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::registry {

/// How long an update of a tag is watched. See update_tag().
struct Settling {
  std::chrono::milliseconds shortest{500};
  std::chrono::milliseconds longest{10'000};
  unsigned windows = 4;  ///< of the time from reading to writing, as measured
  unsigned writes = 100; ///< then it is given up
};

/// What becomes of the document that a tag names.
struct Merged {
  /// To be written; empty: all that must be there is there.
  std::optional<Document> changed{};
  /// False: only what others had added, and what was lost again, is put back.
  bool lacks_ours = true;
};
/// Is called with what the tag names, null for nothing, as often as it was read. May remember what
/// it saw. What it throws ends the update.
using TagMerge = std::function<Merged(const Document* current)>;

/// Waits until no other process that shares our state directory is between reading and writing the
/// tag. Null: we take no turns, others may.
using TagTurn = std::function<std::unique_ptr<io::FileLock>(const Operation& op)>;

/// Changes a manifest under a tag that others change too: read, merge, write. Registries know no
/// "write if unchanged", so whoever reads before we write and writes after us takes what is ours
/// away unknowingly. Therefore:
///
/// - It is done when the tag has held what is ours, unchanged, for longer than any writer takes
///   from reading to writing (its window). Who writes after that has read it. Where others never
///   stop adding, it is enough to have seen it there for several times as long.
/// - Processes that can take turns do, from reading to writing: they do not take from each other.
/// - A window is kept short: a write is never repeated, one that comes late reads anew.
/// - A merge that finds something missing that it has seen may put it back, its own soon, others'
///   later: so what was lost returns as long as one writer that saw it is at work.
/// - Who lost a race waits a random time that grows with each loss.
///
/// The guarantee is as good as the assumption on windows: a writer that needs longer than
/// `settling` allows from reading to writing may still undo us.
///
/// `name` is what messages call it: "r.example/team/model:1". Returns what the tag names then. What
/// is there already costs one read.
Document update_tag(Session& session, std::string_view tag, const std::string& name,
                    const TagMerge& merge, const TagTurn& take_turn, const Operation& op,
                    const Settling& settling = {});

} // namespace aipack::registry
