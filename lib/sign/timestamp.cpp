// Time stamps, RFC 3161, by OpenSSL's TS_* calls.
#include "aipack/sign/timestamp.hpp"

#include "aipack/core/text.hpp"

#include "certificate_impl.hpp"
#include "encoding.hpp"
#include "signing_impl.hpp"
#include "time_text.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <openssl/pkcs7.h>
#include <openssl/rand.h>
#include <openssl/ts.h>

namespace aipack::sign {
namespace {

using RequestPtr = OpenSslPtr<TS_REQ, TS_REQ_free>;
using ResponsePtr = OpenSslPtr<TS_RESP, TS_RESP_free>;
using TokenPtr = OpenSslPtr<PKCS7, PKCS7_free>;
using InfoPtr = OpenSslPtr<TS_TST_INFO, TS_TST_INFO_free>;
using VerifierPtr = OpenSslPtr<TS_VERIFY_CTX, TS_VERIFY_CTX_free>;

[[noreturn]] void refuse(std::string_view cause) {
  throw Error(ErrorCode::corrupt, fmt::format("cannot accept the time stamp: {}", cause));
}

bool is_strong(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* kind = nullptr;
  X509_ALGOR_get0(&kind, nullptr, nullptr, algorithm);
  const int digest = OBJ_obj2nid(kind);
  return digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512;
}

void check_size(std::string_view der) {
  if (der.size() > max_timestamp_bytes) {
    refuse(fmt::format("it is larger than {} bytes", max_timestamp_bytes));
  }
}

/// PKIStatusInfo: granted, or granted with modifications.
void check_status(TS_RESP* response) {
  constexpr long granted_with_mods = 1;
  TS_STATUS_INFO* const info = TS_RESP_get_status_info(response);
  const long status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(info));
  if (status >= 0 && status <= granted_with_mods) {
    return;
  }
  std::string said;
  const STACK_OF(ASN1_UTF8STRING)* const texts = TS_STATUS_INFO_get0_text(info);
  for (int at = 0; at < sk_ASN1_UTF8STRING_num(texts); ++at) {
    const ASN1_UTF8STRING* const text = sk_ASN1_UTF8STRING_value(texts, at);
    said.append(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  throw Error(ErrorCode::unavailable,
              fmt::format("cannot get a time stamp: the authority answered status {}{}", status,
                          said.empty() ? "" : ", " + quoted(said)));
}

/// The token of a response, or a bare one.
TokenPtr token_of(std::string_view der) {
  if (const auto response = decode_der<ResponsePtr>(d2i_TS_RESP, der)) {
    check_status(response.get());
    TokenPtr token(PKCS7_dup(TS_RESP_get_token(response.get())));
    drop_openssl_errors();
    if (token == nullptr) {
      refuse("there is no token in it");
    }
    return token;
  }
  TokenPtr token = decode_der<TokenPtr>(d2i_PKCS7, der);
  if (token == nullptr) {
    refuse("it is neither a response nor a token of RFC 3161");
  }
  return token;
}

/// What the token says, and that it says it by hashes that are still good.
InfoPtr info_of(PKCS7* token) {
  InfoPtr info(PKCS7_type_is_signed(token) ? PKCS7_to_TS_TST_INFO(token) : nullptr);
  STACK_OF(PKCS7_SIGNER_INFO)* const signers = PKCS7_get_signer_info(token);
  drop_openssl_errors();
  if (info == nullptr || sk_PKCS7_SIGNER_INFO_num(signers) != 1) {
    refuse("its token is damaged");
  }
  X509_ALGOR* signed_by = nullptr;
  PKCS7_SIGNER_INFO_get0_algs(sk_PKCS7_SIGNER_INFO_value(signers, 0), nullptr, &signed_by, nullptr);
  if (!is_strong(signed_by) ||
      !is_strong(TS_MSG_IMPRINT_get_algo(TS_TST_INFO_get_msg_imprint(info.get())))) {
    refuse("its hash is none of SHA-256, SHA-384 and SHA-512");
  }
  return info;
}

/// Empty when the token is good; else OpenSSL's reason.
std::optional<std::string> failure_of(PKCS7* token, std::string_view message,
                                      const Authority& authority, std::chrono::sys_seconds time) {
  const VerifierPtr verifier(TS_VERIFY_CTX_new());
  require(verifier != nullptr, "verify a time stamp");
  TS_VERIFY_CTX_set_flags(verifier.get(), TS_VFY_VERSION | TS_VFY_SIGNATURE | TS_VFY_DATA);
  // The verifier takes over all three.
  TS_VERIFY_CTX_set_store(verifier.get(), store_of(authority, time).release());
  TS_VERIFY_CTX_set_certs(verifier.get(), stack_of(authority.chain).release());
  TS_VERIFY_CTX_set_data(verifier.get(), read_bio(message).release());
  if (TS_RESP_verify_token(verifier.get(), token) != 1) {
    return take_openssl_error();
  }
  return std::nullopt;
}

} // namespace

std::string timestamp_of(const Signatory& signatory, std::string_view signature) {
  if (!signatory.timestamp) {
    return {};
  }
  const auto request = TimestampRequest::make(signature);
  return check_timestamp_response(request, signatory.timestamp(request));
}

std::string timestamp_token_of(const Signatory& signatory, std::string_view signature) {
  const std::string response = timestamp_of(signatory, signature);
  return response.empty() ? std::string{} : encode_der(i2d_PKCS7, token_of(response).get());
}

TimestampRequest TimestampRequest::make(std::string_view message) {
  constexpr long version = 1;
  const std::string digest = sha256(message);
  const OpenSslPtr<X509_ALGOR, X509_ALGOR_free> algorithm(X509_ALGOR_new());
  const OpenSslPtr<TS_MSG_IMPRINT, TS_MSG_IMPRINT_free> imprint(TS_MSG_IMPRINT_new());
  const OpenSslPtr<ASN1_INTEGER, ASN1_INTEGER_free> nonce(ASN1_INTEGER_new());
  const RequestPtr request(TS_REQ_new());
  std::array<unsigned char, 8> random{};
  require(RAND_bytes(random.data(), static_cast<int>(random.size())) == 1, "make a nonce");
  std::uint64_t number = 0;
  for (const unsigned char byte : random) {
    number = number << 8 | byte;
  }
  std::string copy = digest; // OpenSSL's parameter is not const
  require(algorithm != nullptr && imprint != nullptr && nonce != nullptr && request != nullptr &&
              X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(NID_sha256), V_ASN1_NULL, nullptr) ==
                  1 &&
              TS_MSG_IMPRINT_set_algo(imprint.get(), algorithm.get()) == 1 &&
              TS_MSG_IMPRINT_set_msg(imprint.get(), data_of(copy), static_cast<int>(copy.size())) ==
                  1 &&
              ASN1_INTEGER_set_uint64(nonce.get(), number) == 1 &&
              TS_REQ_set_version(request.get(), version) == 1 &&
              TS_REQ_set_msg_imprint(request.get(), imprint.get()) == 1 &&
              TS_REQ_set_nonce(request.get(), nonce.get()) == 1 &&
              TS_REQ_set_cert_req(request.get(), 1) == 1,
          "make a time stamp request");
  return {encode_der(i2d_TS_REQ, static_cast<const TS_REQ*>(request.get()))};
}

std::string check_timestamp_response(const TimestampRequest& request,
                                     std::string_view response_der) {
  check_size(response_der);
  const RequestPtr asked = decode_der<RequestPtr>(d2i_TS_REQ, request.der);
  const ResponsePtr response = decode_der<ResponsePtr>(d2i_TS_RESP, response_der);
  if (asked == nullptr || response == nullptr) {
    throw FormatError("time stamp response", std::nullopt, "it is no response of RFC 3161");
  }
  check_status(response.get());
  const VerifierPtr verifier(TS_REQ_to_TS_VERIFY_CTX(asked.get(), nullptr));
  require(verifier != nullptr, "verify a time stamp");
  TS_VERIFY_CTX_set_flags(verifier.get(), TS_VFY_VERSION | TS_VFY_IMPRINT | TS_VFY_NONCE);
  if (TS_RESP_verify_response(verifier.get(), response.get()) != 1) {
    throw FormatError("time stamp response", std::nullopt,
                      "it does not answer the request: " + take_openssl_error());
  }
  return std::string(response_der);
}

std::chrono::sys_seconds verify_timestamp(std::string_view der, std::string_view message,
                                          const std::vector<Authority>& authorities) {
  check_size(der);
  const TokenPtr token = token_of(der);
  const InfoPtr info = info_of(token.get());
  const auto time = try_time(TS_TST_INFO_get_time(info.get()));
  if (!time) {
    refuse("its time is damaged");
  }
  std::string cause = "no trusted time-stamping authority made it";
  for (const Authority& authority : authorities) {
    if (!authority.valid_for.contains(*time)) {
      continue;
    }
    const auto failure = failure_of(token.get(), message, authority, *time);
    if (!failure) {
      return *time;
    }
    cause = *failure;
  }
  refuse(cause);
}

} // namespace aipack::sign
