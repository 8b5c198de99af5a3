#pragma once

#include "support/registry_server.hpp"

#include <string>
#include <vector>

namespace aipack::test {

inline const std::string manifest_type = "application/vnd.oci.image.manifest.v1+json";
inline const std::string index_type = "application/vnd.oci.image.index.v1+json";
inline const std::string config_type = "application/vnd.oci.image.config.v1+json";

inline const std::string hello = "hello, registry\n";
// Both are what sha256sum and sha512sum print for `hello`.
inline const std::string hello_256 =
    "sha256:7ac7eafb891845c5611b7d863b8a07cb9a5690cd6e0e2e0f0462bc8e1abfea37";
inline const std::string hello_512 =
    "sha512:"
    "c12c75c0e907d4255f9795ba7f3fd2b97af0fa1ddb71a870d8f343a7cdf1a6a7e24e59ce94f7f1ecf26d8f494e5b81"
    "9589149c56665c718f9a9c6f6f8c103272";

inline std::string descriptor(const std::string& type, const std::string& digest,
                              std::size_t size) {
  return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":)" +
         std::to_string(size) + "}";
}

/// An image of one config and one layer, both of which are `hello`. `more` is further members.
inline std::string image_of_hello(const std::string& more = {}) {
  return R"({"schemaVersion":2,"mediaType":")" + manifest_type + R"(","config":)" +
         descriptor(config_type, hello_256, hello.size()) + R"(,"layers":[)" +
         descriptor("application/vnd.oci.image.layer.v1.tar", hello_256, hello.size()) + "]" +
         more + "}";
}

} // namespace aipack::test
