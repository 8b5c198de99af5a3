#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/sign/key.hpp"

#include "commands/commands.hpp"
#include "commands/key_options.hpp"
#include "prompt.hpp"
#include "render/json.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string output = "aipack";
  std::string type = "p256";
  std::string format = "cosign";
};

sign::KeyFormat key_format(const std::string& text) {
  return text == "pkcs8"             ? sign::KeyFormat::pkcs8
         : text == "pkcs8-encrypted" ? sign::KeyFormat::pkcs8_encrypted
                                     : sign::KeyFormat::cosign;
}

/// Asked for twice: a password that was mistyped once locks the key for ever.
sign::Secret new_password(const std::string& file) {
  if (const char* const value = key_password()) {
    return sign::Secret(value);
  }
  sign::Secret first(
      prompt_secret(fmt::format("Password for {}: ", file), without_password_terminal));
  const sign::Secret second(prompt_secret("The same again: ", without_password_terminal));
  if (first.view() != second.view()) {
    throw Error(ErrorCode::invalid_input, "cannot make the key: the two passwords differ");
  }
  return first;
}

int run_keygen(Session& session, const Options& options) {
  const auto spec = sign::KeySpec::parse(options.type);
  const auto format = key_format(options.format);
  const auto private_file = options.output + ".key";
  const auto public_file = options.output + ".pub";
  for (const auto& file : {private_file, public_file}) {
    if (std::filesystem::exists(file)) {
      throw Error(ErrorCode::already_exists,
                  fmt::format("cannot write key {}: it exists", quoted(file)))
          .with_hint("choose another name with -o; a key that is lost cannot be made again");
    }
  }
  const auto password =
      format == sign::KeyFormat::pkcs8 ? sign::Secret() : new_password(private_file);
  const auto key = sign::PrivateKey::generate(spec);
  sign::write_private_key(private_file, key.to_pem(format, password));
  io::write_file_atomically(public_file, io::as_bytes(key.public_key().to_pem()));
  const auto fingerprint = key.public_key().fingerprint().to_string();
  const auto type = std::string(sign::to_string(key.public_key().type()));
  if (session.json) {
    print({{"private_key", private_file},
           {"public_key", public_file},
           {"type", type},
           {"fingerprint", fingerprint}});
  } else {
    print_text(fmt::format("{}  {}\n{}  {}\n", private_file,
                           format == sign::KeyFormat::pkcs8 ? "private, not encrypted"
                                                            : "private, encrypted",
                           public_file, fingerprint));
  }
  return 0;
}

} // namespace

void add_keygen(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(app, session, "keygen", "Make a key pair for signing", "Trust",
                           "  aipack keygen -o release\n"
                           "  aipack keygen --type ed25519 --format pkcs8-encrypted");
  command
      ->add_option("-o,--output", options->output,
                   "Name of the two files, NAME.key and NAME.pub (default: aipack)")
      ->type_name("NAME");
  command
      ->add_option("--type", options->type,
                   "p256 (default), p384, p521, rsa2048, rsa3072, rsa4096 or ed25519")
      ->type_name("TYPE");
  command
      ->add_option(
          "--format", options->format,
          "cosign (default: what cosign reads too), pkcs8-encrypted or pkcs8 (in the clear)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"cosign", "pkcs8-encrypted", "pkcs8"}));
  command->callback([&session, options] {
    session.run = [&session, options] { return run_keygen(session, *options); };
  });
}

} // namespace aipack::cli
