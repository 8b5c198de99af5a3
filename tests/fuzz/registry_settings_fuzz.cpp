// Any bytes as registry settings, in both formats: endpoints that are whole, or an aipack::Error.
#include "aipack/core/error.hpp"
#include "aipack/registry/settings.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void check(const aipack::registry::Endpoint& endpoint) {
  const bool is_http = endpoint.scheme == "http";
  // The invariants that requests are built on.
  if ((!is_http && endpoint.scheme != "https") || endpoint.host.empty() ||
      endpoint.repository.empty() || (is_http && endpoint.insecure_tls) ||
      !aipack::oci::Reference::try_parse(endpoint.credential_host + "/" + endpoint.repository)) {
    std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto format :
       {registry::SettingsFormat::containers, registry::SettingsFormat::aipack}) {
    try {
      const auto settings = registry::RegistrySettings::parse(text, "/etc/fuzz.conf", format);
      for (const char* name : {"r.example/team/model:1", "docker.io/busybox", "a.w.example/x",
                               "localhost:5000/team/model"}) {
        const auto reference = oci::Reference::parse(name);
        try {
          check(settings.endpoint(reference));
          for (const auto& endpoint : settings.pull_endpoints(reference, true)) {
            check(endpoint);
          }
        } catch (const Error&) { // blocked, or a location that makes no repository
        }
      }
    } catch (const Error&) {
    }
  }
  return 0;
}
