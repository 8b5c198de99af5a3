// Any bytes as an auth file, in both formats: credentials, none, or an aipack::Error whose text has
// nothing of the file's; what is edited reads back.
#include "aipack/core/error.hpp"

#include "../../lib/registry/auth_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using aipack::registry::AuthFile;
using aipack::registry::AuthFormat;

/// A marker that seeds carry as their password: it must not show up in any message.
constexpr std::string_view secret = "hunter2";

template <class Fn>
void run(Fn fn) {
  try {
    fn();
  } catch (const aipack::Error& error) {
    if (error.message().find(secret) != std::string::npos ||
        error.hint().find(secret) != std::string::npos) {
      std::abort();
    }
  }
}

void look_up(const AuthFile& file, std::string_view host) {
  run([&] { static_cast<void>(file.own_helper(host)); });
  run([&] { static_cast<void>(file.default_helper(host)); });
  run([&] { static_cast<void>(file.find(host, "team/model")); });
}

void edit(AuthFile file) {
  const aipack::registry::Credential credential{.username = "user",
                                                .password = aipack::registry::Secret("password")};
  file.set("r.example", "r.example", &credential);
  const auto again = AuthFile::parse(file.to_text(), "fuzz");
  const auto found = again.find("r.example", "");
  if (!found || found->password.reveal() != "password") {
    std::abort();
  }
  static_cast<void>(file.erase("r.example"));
  if (AuthFile::parse(file.to_text(), "fuzz").find("r.example", "")) {
    std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto format : {AuthFormat::current, AuthFormat::legacy}) {
    run([&] {
      const auto file = AuthFile::parse(text, "fuzz", format);
      for (const std::string_view host : {"r.example", "docker.io", "localhost:5000"}) {
        look_up(file, host);
      }
      if (format == AuthFormat::current) {
        run([&] { edit(file); });
      }
    });
  }
  return 0;
}
