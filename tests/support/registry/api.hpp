#pragma once

#include "support/registry/exchange.hpp"
#include "support/registry/log.hpp"
#include "support/registry/store.hpp"
#include "support/registry/tokens.hpp"
#include "support/registry_server.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

/// The distribution API of the test registry, one object per request. Members are spread over
/// blobs.cpp, uploads.cpp, manifests.cpp and listings.cpp.
namespace aipack::test {

struct Settings {
  RegistryDialect dialect;
  RegistryAuth auth;
};

/// Where the four origins are, and which URLs this registry has signed.
struct Addresses {
  std::string host_name;
  std::array<std::uint16_t, 4> ports{};
  std::array<bool, 4> tls{};

  [[nodiscard]] std::uint16_t port(Origin origin) const;
  [[nodiscard]] std::string base(Origin origin) const; ///< "http://127.0.0.1:port"
  /// {registry} {registry_port} … {path} of a template.
  [[nodiscard]] std::string expand(std::string text, const std::string& path = {}) const;
  /// The path with a query that storage accepts in place of credentials.
  [[nodiscard]] static std::string sign(const std::string& path);
  [[nodiscard]] static bool is_signed(const Target& target);
};

/// All that outlives a request.
struct World {
  World(const RegistryOptions& options) : store(options.storage, options.root), log(options.log) {}
  Store store;
  RequestLog log;
  Tokens tokens;
  Addresses addresses;
};

enum class Endpoint {
  base,
  blob,
  start_upload,
  upload,
  manifest,
  tags,
  referrers,
  token,
  loop,
  other
};
/// Which endpoint a request is for; fills in repository, digest, reference and upload.
Endpoint route(RegistryRequest& request);

[[nodiscard]] Reply error_reply(int status, const std::string& code, const std::string& message,
                                const std::string& detail = {});

class Api {
public:
  Api(World& world, const Settings& settings, HttpConnection& connection, RequestLog::Entry entry,
      Endpoint endpoint);

  Reply answer();
  /// WWW-Authenticate for what this request needs.
  [[nodiscard]] Headers challenges(const std::string& error = {}) const;

private:
  // api.cpp
  std::optional<Reply> refuse();
  [[nodiscard]] Access needed() const;
  [[nodiscard]] std::optional<Reply> refuse_at_storage() const;
  [[nodiscard]] std::string own_base() const;
  [[nodiscard]] std::optional<std::string> redirect(const std::string& location_template,
                                                    int status) const;
  Reply dispatch();
  Reply method_not_allowed() const;
  // blobs.cpp
  Reply blob();
  Reply send_content(const std::shared_ptr<const Content>& content, Headers headers) const;
  Reply erase_blob();
  [[nodiscard]] bool unchanged(const std::string& etag) const;
  // uploads.cpp
  Reply start_upload();
  std::optional<Reply> mount();
  Reply upload();
  Reply patch(UploadSession& session);
  Reply close_upload(UploadSession& session);
  std::optional<Reply> check_chunk(UploadSession& session);
  std::optional<Reply> append_body(UploadSession& session);
  void receive_into(UploadSession& session, std::uint64_t start);
  Reply commit(UploadSession& session, const std::string& digest);
  [[nodiscard]] Reply session_reply(const UploadSession& session, int status) const;
  [[nodiscard]] std::string location_of(const UploadSession& session) const;
  [[nodiscard]] std::string range_of(const UploadSession& session) const;
  // manifests.cpp
  Reply manifest();
  Reply put_manifest();
  Reply erase_manifest();
  std::optional<Reply> check_manifest(const std::string& bytes, const std::string& media_type,
                                      std::string& subject) const;
  // listings.cpp
  Reply tags();
  Reply referrers();

  World& world_;
  const Settings& settings_;
  const RegistryDialect& dialect_;
  HttpConnection& connection_;
  RequestLog::Entry entry_;
  /// The entry's fields that never change once it is in the log may be read without its lock.
  const RegistryRequest request_;
  Endpoint endpoint_;
  Target target_;
  std::string repository_;
};

} // namespace aipack::test
