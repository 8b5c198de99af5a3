#pragma once

#include "support/registry/store.hpp"

namespace aipack::test {

[[nodiscard]] std::unique_ptr<ContentWriter> memory_writer();
[[nodiscard]] std::unique_ptr<ContentWriter> sink_writer();
/// Writes to `temporary`, which finish() renames below `blobs`/<algorithm>/<hex>.
[[nodiscard]] std::unique_ptr<ContentWriter> file_writer(std::filesystem::path temporary,
                                                         std::filesystem::path blobs);
[[nodiscard]] std::shared_ptr<const Content> file_content(const std::filesystem::path& path);

} // namespace aipack::test
