#include "aipack/registry/error.hpp"

#include "support/catch.hpp"

using namespace aipack;

TEST_CASE("RegistryError answers which codes the registry named", "[registry][error]") {
  const registry::RegistryError error(
      ErrorCode::denied, "cannot push",
      {.method = "PUT",
       .url = "https://r.example/v2/a/manifests/1",
       .status = 403,
       .faults = {{.code = "DENIED", .message = "no", .detail = ""}}});
  CHECK(error.has("DENIED"));
  CHECK_FALSE(error.has("UNAUTHORIZED"));
}
