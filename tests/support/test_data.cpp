#include "support/test_data.hpp"

namespace aipack::test {

std::filesystem::path test_data() {
  return AIPACK_TEST_DATA;
}

} // namespace aipack::test
