// A key in SoftHSM's token, through OpenSSL's PKCS#11 engine. Needs softhsm2, opensc and
// libengine-pkcs11-openssl; says which is missing. With a provider instead of the engine:
//   OPENSSL_MODULES=DIR PKCS11_PROVIDER_MODULE=/usr/lib/softhsm/libsofthsm2.so unit_sign "[token]"
#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/sign/key.hpp"

#include "../../support/catch.hpp"
#include "../../support/temp.hpp"
#include "failure.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

using namespace aipack;
using namespace aipack::sign;
using aipack::testing::failure_of;

namespace {

const std::string module = "/usr/lib/softhsm/libsofthsm2.so";

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0; // NOLINT: fixed texts only
}

/// A token of its own in a directory of its own.
class Token {
public:
  Token() {
    testing::write_file(directory_.path() / "softhsm2.conf",
                        "directories.tokendir = " + directory_.path().string() + "\n");
    ::setenv("SOFTHSM2_CONF", (directory_.path() / "softhsm2.conf").c_str(), 1);
    is_ready_ = run("softhsm2-util --init-token --free --label aipack --so-pin 4321 --pin 1234") &&
                run("pkcs11-tool --module " + module +
                    " --login --pin 1234 --keypairgen --key-type EC:prime256v1 --label signer "
                    "--id 01");
  }
  [[nodiscard]] bool is_ready() const noexcept { return is_ready_; }

private:
  io::TempDirectory directory_;
  bool is_ready_ = false;
};

} // namespace

TEST_CASE("token URIs are told from paths", "[sign][token]") {
  CHECK(is_token_uri("pkcs11:token=aipack"));
  CHECK_FALSE(is_token_uri("/keys/pkcs11:key"));
  CHECK(failure_of([] { (void)open_token_key("file:key"); }).code() == ErrorCode::invalid_input);
}

TEST_CASE("a key in a token signs without leaving it", "[sign][token]") {
  if (!std::filesystem::exists(module)) {
    WARN("skipped: softhsm2 is not installed");
    return;
  }
  const Token token;
  if (!token.is_ready()) {
    WARN("skipped: softhsm2-util or pkcs11-tool is not installed");
    return;
  }
  const std::string uri = "pkcs11:token=aipack;object=signer;type=private";
  const TokenOptions options{.module = module};
  // First: the engine stays logged in, once it is, until the process ends.
  int wrong_pins = 0;
  const Error wrong = failure_of([&] {
    (void)open_token_key(uri, options, [&] {
      ++wrong_pins;
      return std::string("0000");
    });
  });
  if (wrong.code() == ErrorCode::unsupported) {
    WARN("skipped: " << wrong.message());
    return;
  }
  CHECK(wrong.code() == ErrorCode::unauthenticated);
  CHECK(wrong_pins == 1); // tokens lock themselves after a few
  CHECK_THAT(wrong.message(),
             ContainsSubstring("cannot use token key '" + uri + "': the PIN is wrong, or "));

  int asked = 0;
  const auto signer = open_token_key(uri, options, [&] {
    ++asked;
    return std::string("1234");
  });
  CHECK(asked == 1);
  CHECK(signer->public_key().type() == KeyType::ecdsa_p256);
  const std::string signature = signer->sign("message", Scheme::ecdsa_sha256);
  CHECK(signer->public_key().verify("message", signature, Scheme::ecdsa_sha256));

  const Error unknown = failure_of([&] {
    (void)open_token_key("pkcs11:token=aipack;object=nobody;type=private?pin-value=1234", options,
                         [] { return std::string("1234"); });
  });
  CHECK_THAT(unknown.message(), ContainsSubstring("the token has no such key"));
  CHECK(unknown.message().find("1234") == std::string::npos);
}
