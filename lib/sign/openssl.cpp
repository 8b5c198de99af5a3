#include "openssl.hpp"

#include <climits>

#include <openssl/err.h>

namespace aipack::sign {

std::string take_openssl_error() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* const reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "OpenSSL does not say why" : reason;
}

std::string take_openssl_errors() {
  std::string reasons;
  while (const unsigned long error = ERR_get_error()) {
    const char* const reason = ERR_reason_error_string(error);
    reasons += (reasons.empty() ? "" : "; ") + std::string(reason == nullptr ? "?" : reason);
  }
  return reasons;
}

void drop_openssl_errors() noexcept {
  ERR_clear_error();
}

void require(bool holds, std::string_view what) {
  if (!holds) {
    throw Error(ErrorCode::internal,
                "cannot " + std::string(what) + ": OpenSSL: " + take_openssl_error());
  }
}

BioPtr read_bio(std::string_view bytes) {
  require(bytes.size() <= INT_MAX, "read so many bytes");
  BioPtr bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  require(bio != nullptr, "make a buffer");
  return bio;
}

std::string_view text_of(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return length <= 0 ? std::string_view{}
                     : std::string_view(data, static_cast<std::size_t>(length));
}

} // namespace aipack::sign
