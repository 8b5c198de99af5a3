#include "tar_walk.hpp"

#include "aipack/archive/tar_writer.hpp"
#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace aipack::image {

void walk_headers(const OpenAt& open, const std::string& name, const archive::TarLimits& limits,
                  const Operation& op,
                  const std::function<void(const archive::TarMember&)>& visit) {
  std::uint64_t base = 0;
  std::uint64_t total = 0;
  // A reader that starts anew forgets what it has seen, so what spans the archive is checked here.
  std::set<fs::RootPath> seen;
  for (bool more = true; more;) {
    archive::TarReader reader(open(base), name, limits);
    more = false;
    while (auto member = reader.next()) {
      op.check();
      member->data_offset = checked_add(base, member->data_offset);
      total = checked_add(total, member->size);
      if (!seen.insert(member->path).second) {
        throw FormatError(name, member->data_offset,
                          fmt::format("it holds {} twice", quoted(member->path.text())));
      }
      if (seen.size() > limits.max_entries || total > limits.max_total_bytes) {
        throw FormatError(name, member->data_offset, "it holds more than the limits allow");
      }
      visit(*member);
      if (member->size > skip_by_reading_bytes) {
        base = checked_add(member->data_offset,
                           checked_add(member->size, archive::tar_padding(member->size)));
        more = true;
        break;
      }
    }
  }
}

std::size_t CompletedTar::read(std::span<std::byte> into) {
  if (!ended_) {
    const auto count = source_->read(into);
    real_bytes_ += count;
    if (count > 0) {
      return count;
    }
    ended_ = true;
    zeros_left_ = archive::tar_padding(real_bytes_) + archive::tar_trailer_bytes;
  }
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), zeros_left_));
  std::fill_n(into.begin(), count, std::byte{});
  zeros_left_ -= count;
  return count;
}

} // namespace aipack::image
