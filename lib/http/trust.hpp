#pragma once

#include "aipack/http/transport.hpp"
#include "aipack/http/url.hpp"

#include <string>
#include <vector>

#include <curl/curl.h>

namespace aipack::http {

/// Whom a transport believes, and as whom it presents itself.
class Trust {
public:
  /// Reads the files that `options` names, and SSL_CERT_FILE and SSL_CERT_DIR of the environment.
  explicit Trust(const TransportOptions& options);

  /// For a transfer to `origin`. This object must outlive it.
  void apply(CURL* easy, const Origin& origin) const;

private:
  struct Identity {
    Origin origin;
    std::string certificate_file;
    std::string key_file;
  };

  bool insecure_;
  std::string authorities_{};      ///< PEM: the system's and those of `ca_files`; empty: libcurl's
  std::string system_file_{};      ///< SSL_CERT_FILE; empty: libcurl's
  std::string system_directory_{}; ///< SSL_CERT_DIR; empty: libcurl's
  std::vector<Identity> identities_{};
};

} // namespace aipack::http
