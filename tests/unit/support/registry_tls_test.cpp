#include "support/catch.hpp"
#include "support/registry_server.hpp"
#include "support/test_certificates.hpp"
#include "unit/support/samples.hpp"

#include <filesystem>
#include <memory>

#include <curl/curl.h>
#include <unistd.h>

using namespace aipack::test;

namespace {

struct Directory {
  Directory()
      : path(std::filesystem::temp_directory_path() /
             ("aipack-certificates-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
  }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::filesystem::path path;
};

struct Answer {
  CURLcode code = CURLE_OK;
  std::string body{};
};

std::size_t append(const char* bytes, std::size_t, std::size_t count, void* into) {
  static_cast<std::string*>(into)->append(bytes, count);
  return count;
}

Answer get(const std::string& url, const std::filesystem::path& ca,
           const TestCertificates* client = nullptr) {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  Answer answer;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(curl.get(), CURLOPT_CAINFO, ca.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer.body);
  if (client != nullptr) {
    curl_easy_setopt(curl.get(), CURLOPT_SSLCERT, client->client.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_SSLKEY, client->client_key.c_str());
  }
  answer.code = curl_easy_perform(curl.get());
  return answer;
}

} // namespace

TEST_CASE("The registry speaks TLS under a private authority", "[support][registry][tls]") {
  const Directory directory;
  const auto made = TestCertificates::make(directory.path);
  RegistryServer registry({.tls = RegistryTls{.certificate = made.server,
                                              .key = made.server_key,
                                              .plain = {Origin::storage}}});
  const std::string large(3'000'000, 'x');
  const std::string digest = registry.put_blob("m", large);
  CHECK(registry.url().starts_with("https://"));
  CHECK(registry.url("", Origin::storage).starts_with("http://"));
  CHECK(get(registry.url("/v2/m/blobs/" + digest), made.ca).body == large);
  CHECK(get("https://localhost:" + std::to_string(registry.port()) + "/v2/", made.ca).body == "{}");

  // Another authority does not vouch for it.
  std::filesystem::create_directories(directory.path / "other");
  const auto other = TestCertificates::make(directory.path / "other");
  CHECK(get(registry.url("/v2/"), other.ca).code == CURLE_PEER_FAILED_VERIFICATION);
  // A client that speaks plainly is no danger.
  CHECK(get("http://" + registry.host() + "/v2/", made.ca).code != CURLE_OK);
}

TEST_CASE("A client certificate can be required", "[support][registry][tls]") {
  const Directory directory;
  const auto made = TestCertificates::make(directory.path);
  const RegistryServer registry(
      {.tls =
           RegistryTls{.certificate = made.server, .key = made.server_key, .client_ca = made.ca}});
  CHECK(get(registry.url("/v2/"), made.ca).code != CURLE_OK);
  CHECK(get(registry.url("/v2/"), made.ca, &made).body == "{}");
}

TEST_CASE("An expired certificate and a foreign name are noticed", "[support][registry][tls]") {
  const Directory directory;
  const auto made = TestCertificates::make(
      directory.path,
      GENERATE(TestCertificates::Options{.expired = true},
               TestCertificates::Options{.names = {"registry.example", "192.0.2.1"}}));
  const RegistryServer registry(
      {.tls = RegistryTls{.certificate = made.server, .key = made.server_key}});
  CHECK(get(registry.url("/v2/"), made.ca).code == CURLE_PEER_FAILED_VERIFICATION);
}
