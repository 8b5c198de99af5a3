#pragma once

#include <filesystem>

namespace aipack::test {

/// The folder tests/data of the checkout.
[[nodiscard]] std::filesystem::path test_data();

} // namespace aipack::test
