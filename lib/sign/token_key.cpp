// Keys that stay in their token: RFC 7512 URIs, through OpenSSL's "pkcs11" provider where one is
// installed, else through the engine of that name (libp11), which is what Debian 12 has.
#define OPENSSL_SUPPRESS_DEPRECATED // engines
#include "aipack/core/text.hpp"
#include "aipack/sign/key.hpp"

#include "encoding.hpp"
#include "key_impl.hpp"

#include <optional>
#include <utility>

#include <fmt/format.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#ifndef OPENSSL_NO_ENGINE
#include <openssl/engine.h>
#endif

namespace aipack::sign {
namespace {

constexpr std::string_view uri_scheme = "pkcs11:";

using LibraryPtr = OpenSslPtr<OSSL_LIB_CTX, OSSL_LIB_CTX_free>;
using ProviderPtr = OpenSslPtr<OSSL_PROVIDER, OSSL_PROVIDER_unload>;
using StoreContextPtr = OpenSslPtr<OSSL_STORE_CTX, OSSL_STORE_close>;
using MethodPtr = OpenSslPtr<UI_METHOD, UI_destroy_method>;

/// What keeps the key alive, then the key: destroyed in the opposite order.
struct Token {
  LibraryPtr library;
  ProviderPtr provider;
  ProviderPtr base_provider;
#ifndef OPENSSL_NO_ENGINE
  struct FinishEngine {
    void operator()(ENGINE* engine) const noexcept {
      ENGINE_finish(engine);
      ENGINE_free(engine);
    }
  };
  std::unique_ptr<ENGINE, FinishEngine> engine;
#endif
  KeyPtr key;
};

class TokenKey final : public Signer {
public:
  TokenKey(Token token, PublicKey public_key)
      : token_(std::move(token)), public_key_(std::move(public_key)) {}
  [[nodiscard]] PublicKey public_key() const override { return public_key_; }
  [[nodiscard]] std::string sign(std::string_view message, Scheme scheme) const override {
    return sign_with(token_.key.get(), public_key_.type(), message, scheme);
  }

private:
  Token token_;
  PublicKey public_key_;
};

/// A URI fit for messages: its query may hold the PIN.
std::string shown(std::string_view uri) {
  return quoted(uri.substr(0, uri.find('?')));
}

/// RFC 3986, section 2.1; a percent sign without two digits is itself.
std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = text[at] == '%' ? try_hex(text.substr(at + 1, 2)) : std::nullopt;
    const bool is_escape = byte && byte->size() == 1;
    decoded += is_escape ? (*byte)[0] : text[at];
    at += is_escape ? 2 : 0;
  }
  return decoded;
}

/// Takes an attribute out of the URI's query (RFC 7512, section 2.3); empty: it is not there. The
/// PIN goes another way, because the engine prints URIs that it does not find.
std::optional<std::string> take_attribute(std::string& uri, std::string_view name) {
  const std::size_t question = uri.find('?');
  if (question == std::string::npos) {
    return std::nullopt;
  }
  std::optional<std::string> value;
  std::string rest;
  for (const std::string_view attribute : split(std::string_view(uri).substr(question + 1), '&')) {
    if (attribute.starts_with(name) && attribute.substr(name.size()).starts_with('=')) {
      value = percent_decoded(attribute.substr(name.size() + 1));
    } else {
      rest += (rest.empty() ? "?" : "&") + std::string(attribute);
    }
  }
  OPENSSL_cleanse(uri.data() + question, uri.size() - question);
  uri.resize(question);
  uri += rest;
  return value;
}

/// Asks once, however often the token does: a wrong PIN must not lock it.
class Pin {
public:
  explicit Pin(const PasswordSource& source) : source_(source) {}
  [[nodiscard]] bool was_given() const noexcept { return asked_ > 0; }
  [[nodiscard]] bool was_refused() const noexcept { return asked_ > 1; }
  /// Null when there is none to give.
  const Secret* get() {
    if (!source_ || ++asked_ > 1) {
      return nullptr;
    }
    secret_ = Secret(source_());
    return &secret_;
  }

private:
  const PasswordSource& source_;
  Secret secret_;
  int asked_ = 0;
};

/// OpenSSL's way of asking for a PIN.
MethodPtr pin_method() {
  MethodPtr method(UI_create_method("aipack"));
  require(method != nullptr, "ask for a PIN");
  UI_method_set_reader(method.get(), [](UI* ui, UI_STRING* prompt) {
    const UI_string_types type = UI_get_string_type(prompt);
    if (type != UIT_PROMPT && type != UIT_VERIFY) {
      return 1;
    }
    try {
      const Secret* const pin = static_cast<Pin*>(UI_get0_user_data(ui))->get();
      if (pin == nullptr) {
        return 0;
      }
      const std::string_view text = pin->view();
      return UI_set_result_ex(ui, prompt, text.data(), static_cast<int>(text.size())) == 0 ? 1 : 0;
    } catch (...) { // no exception crosses OpenSSL
      return 0;
    }
  });
  return method;
}

[[noreturn]] void throw_failure(std::string_view uri, const Pin& pin) {
  const std::string cause = take_openssl_errors();
  const auto says = [&](std::string_view text) { return cause.find(text) != std::string::npos; };
  ErrorCode code = ErrorCode::not_found;
  std::string why = "the token has no such key" + (cause.empty() ? cause : ": " + cause);
  if (pin.was_refused() || says("PIN") || says("ogin failed") || says("ser cancelled")) {
    code = ErrorCode::unauthenticated;
    why = "the PIN is wrong, or missing";
  } else if (cause.empty() && pin.was_given()) { // the provider does not tell the two apart
    code = ErrorCode::unauthenticated;
    why = "the PIN is wrong, or the token has no such key";
  }
  throw Error(code, fmt::format("cannot use token key {}: {}", shown(uri), why));
}

/// False: there is no such provider.
bool open_by_provider(const std::string& uri, const TokenOptions& options, Pin& pin, Token& token) {
  const std::string name = options.provider.empty() ? "pkcs11" : options.provider;
  token.library.reset(OSSL_LIB_CTX_new());
  require(token.library != nullptr, "open a token");
  token.provider.reset(OSSL_PROVIDER_load(token.library.get(), name.c_str()));
  drop_openssl_errors();
  if (token.provider == nullptr) {
    token.library.reset();
    return false;
  }
  token.base_provider.reset(OSSL_PROVIDER_load(token.library.get(), "default"));
  const MethodPtr method = pin_method();
  const StoreContextPtr store(OSSL_STORE_open_ex(uri.c_str(), token.library.get(), nullptr,
                                                 method.get(), &pin, nullptr, nullptr, nullptr));
  if (store == nullptr || OSSL_STORE_expect(store.get(), OSSL_STORE_INFO_PKEY) != 1) {
    throw_failure(uri, pin);
  }
  while (token.key == nullptr && OSSL_STORE_eof(store.get()) == 0) {
    const OpenSslPtr<OSSL_STORE_INFO, OSSL_STORE_INFO_free> info(OSSL_STORE_load(store.get()));
    if (info != nullptr && OSSL_STORE_INFO_get_type(info.get()) == OSSL_STORE_INFO_PKEY) {
      token.key.reset(OSSL_STORE_INFO_get1_PKEY(info.get()));
    }
  }
  if (token.key == nullptr) {
    throw_failure(uri, pin);
  }
  return true;
}

#ifndef OPENSSL_NO_ENGINE
/// False: there is no such engine.
bool open_by_engine(const std::string& uri, const TokenOptions& options, Pin& pin, Token& token) {
  ENGINE_load_dynamic();
  ENGINE* const engine = ENGINE_by_id("pkcs11");
  drop_openssl_errors();
  if (engine == nullptr) {
    return false;
  }
  std::string rest = uri;
  const std::string module =
      options.module.empty() ? take_attribute(rest, "module-path").value_or("") : options.module;
  if (!module.empty()) {
    ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module.c_str(), 0);
  }
  if (ENGINE_init(engine) != 1) {
    ENGINE_free(engine);
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot use token key {}: the PKCS#11 engine does not start: {}",
                            shown(uri), take_openssl_error()));
  }
  token.engine.reset(engine);
  const MethodPtr method = pin_method();
  token.key.reset(ENGINE_load_private_key(engine, uri.c_str(), method.get(), &pin));
  if (token.key == nullptr) {
    throw_failure(uri, pin);
  }
  return true;
}
#endif

} // namespace

bool is_token_uri(std::string_view text) noexcept {
  return text.starts_with(uri_scheme);
}

std::unique_ptr<Signer> open_token_key(std::string_view uri, const TokenOptions& options,
                                       const PasswordSource& pin_source) {
  if (!is_token_uri(uri)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use token key {}: it does not begin with {}", shown(uri),
                            quoted(uri_scheme)));
  }
  std::string text(uri);
  PasswordSource source = pin_source;
  if (auto value = take_attribute(text, "pin-value")) {
    source = [value = *std::move(value)] { return value; };
  }
  Pin pin(source);
  Token token;
  bool is_open = open_by_provider(text, options, pin, token);
#ifndef OPENSSL_NO_ENGINE
  is_open = is_open || open_by_engine(text, options, pin, token);
#endif
  if (!is_open) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot use token key {}: OpenSSL has neither a provider nor an engine "
                            "for PKCS#11",
                            shown(uri)))
        .with_hint("install libengine-pkcs11-openssl, or pkcs11-provider");
  }
  PublicKey public_key = public_key_of(token.key.get(), "token key");
  return std::make_unique<TokenKey>(std::move(token), std::move(public_key));
}

} // namespace aipack::sign
