#include "trust.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include "line.hpp"

#include <cstdlib>
#include <memory>

#include <fmt/format.h>

namespace aipack::http {
namespace {

/// A system has about 200 KiB of them.
constexpr std::uint64_t max_authorities_bytes = std::uint64_t{16} << 20;

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string read_pem(const std::string& path) {
  io::FileSource source(std::make_shared<io::File>(io::File::open(path)));
  return io::read_text(source, max_authorities_bytes, aipack::quoted(path));
}

std::string read_authorities(const std::string& path) {
  std::string text = read_pem(path);
  // RFC 7468, section 5.1; OpenSSL also takes "TRUSTED CERTIFICATE".
  if (text.find("CERTIFICATE-----") == std::string::npos) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use certificate authorities {}: it holds no certificate in PEM "
                            "form",
                            aipack::quoted(path)));
  }
  return text + '\n';
}

/// What libcurl was built to trust.
std::string default_authorities_file() {
  const char* const path = curl_version_info(CURLVERSION_NOW)->cainfo;
  return path == nullptr ? "" : path;
}

} // namespace

Trust::Trust(const TransportOptions& options)
    : insecure_(options.insecure_tls), system_file_(environment("SSL_CERT_FILE")),
      system_directory_(environment("SSL_CERT_DIR")) {
  for (const std::string& path : options.ca_files) {
    authorities_ += read_authorities(path);
  }
  if (!authorities_.empty()) {
    // libcurl takes ours instead of the system's file, so that we add that ourselves.
    const std::string file = system_file_.empty() ? default_authorities_file() : system_file_;
    try {
      authorities_ += file.empty() ? "" : read_pem(file);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found || !system_file_.empty()) {
        throw; // A system without the package of public authorities is fine.
      }
    }
  }
  for (const ClientCertificate& certificate : options.client_certificates) {
    // Opened for the message: libcurl's comes late and does not say what is missing.
    static_cast<void>(io::File::open(certificate.certificate_file));
    const std::string key =
        certificate.key_file.empty() ? certificate.certificate_file : certificate.key_file;
    static_cast<void>(io::File::open(key));
    identities_.push_back({Origin::of(certificate.origin), certificate.certificate_file, key});
  }
}

void Trust::apply(CURL* easy, const Origin& origin) const {
  set_option(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set_option(easy, CURLOPT_SSL_VERIFYPEER, insecure_ ? 0L : 1L);
  set_option(easy, CURLOPT_SSL_VERIFYHOST, insecure_ ? 0L : 2L);
  if (!authorities_.empty()) {
    curl_blob blob{const_cast<char*>(authorities_.data()), authorities_.size(), CURL_BLOB_NOCOPY};
    set_option(easy, CURLOPT_CAINFO_BLOB, &blob);
    set_option(easy, CURLOPT_PROXY_CAINFO_BLOB, &blob);
  } else if (!system_file_.empty()) {
    set_option(easy, CURLOPT_CAINFO, system_file_.c_str());
    set_option(easy, CURLOPT_PROXY_CAINFO, system_file_.c_str());
  }
  if (!system_directory_.empty()) {
    set_option(easy, CURLOPT_CAPATH, system_directory_.c_str());
    set_option(easy, CURLOPT_PROXY_CAPATH, system_directory_.c_str());
  }
  for (const Identity& identity : identities_) {
    if (identity.origin == origin) {
      set_option(easy, CURLOPT_SSLCERT, identity.certificate_file.c_str());
      set_option(easy, CURLOPT_SSLKEY, identity.key_file.c_str());
      // An encrypted key is an error; without this OpenSSL would ask for its password on the
      // terminal.
      set_option(easy, CURLOPT_KEYPASSWD, "");
    }
  }
}

} // namespace aipack::http
