// Nobody else learns a secret: registry_origins [RUNS] [FIRST_SEED]
//
// Registries that redirect blobs, uploads and manifests, and name token realms, in every direction:
// other ports, other names of this machine, other schemes, loops. Whether a copy succeeds does not
// matter here. Credentials and tokens may only reach the registry and its own token server, and
// must appear in no message, no observed exchange and no progress event.
#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/transfer/copy.hpp"

#include "random_image.hpp"
#include "support/registry_server.hpp"

#include <cstdlib>
#include <iostream>
#include <mutex>

#include <fmt/format.h>

namespace {

using namespace aipack;
using namespace aipack::test;

class Known final : public registry::CredentialStore {
public:
  Known(const RegistryAuth& auth, bool token, std::string host) : host_(std::move(host)) {
    if (token) {
      credential_.identity_token = registry::Secret(auth.refresh_token);
    } else {
      credential_.username = auth.user;
      credential_.password = registry::Secret(auth.password);
    }
  }
  std::optional<registry::Credential> find(std::string_view host, std::string_view,
                                           const Operation&) override {
    return host == host_ ? std::optional(credential_) : std::nullopt;
  }

private:
  std::string host_;
  registry::Credential credential_;
};

/// Keeps everything that people could read.
class Written final : public ProgressSink {
public:
  void on_event(const ProgressEvent& event) noexcept override { add(event.label); }
  void add(std::string_view text) noexcept {
    const std::lock_guard lock(mutex_);
    text_ += text;
    text_ += '\n';
  }
  [[nodiscard]] const std::string& text() const { return text_; }

private:
  std::mutex mutex_;
  std::string text_;
};

const std::vector<std::string> places{
    "{storage}{path}",
    "{foreign}{path}",
    "{registry}{path}",
    "http://localhost:{storage_port}{path}",
    "http://127.1:{foreign_port}{path}",
    "http://2130706433:{foreign_port}{path}",
    "http://[::1]:{foreign_port}{path}",
    "http://[::ffff:127.0.0.1]:{foreign_port}{path}",
    "https://127.0.0.1:{foreign_port}{path}",
    "http://user:word@127.0.0.1:{storage_port}{path}",
    "HTTP://127.0.0.1:{storage_port}{path}",
    "//127.0.0.1:{storage_port}{path}",
    "//127.0.0.1:{foreign_port}{path}",
    "{path}",
    "ftp://127.0.0.1:{foreign_port}{path}",
    "file:///etc/hostname",
    "http://127.0.0.1:{storage_port}\\@127.0.0.1:{registry_port}{path}",
    "http://127.0.0.1:{registry_port}@127.0.0.1:{storage_port}{path}",
};

const std::vector<std::string> realms{
    "{token}/token",
    "{registry}/token",
    // Another port of the registry's own address is the registry's business: "{token}" is one.
    "http://localhost:{foreign_port}/token",
    "http://[::1]:{foreign_port}/token",
    "http://user:word@127.0.0.1:{registry_port}/token",
    "http://169.254.169.254/latest/meta-data",
    "https://127.0.0.1:{foreign_port}/token",
    "//localhost:{foreign_port}/token",
    "ftp://127.0.0.1:{foreign_port}/token",
    "file:///etc/hostname",
    "/token",
    "token",
    "",
};

int one_run(std::uint64_t seed) {
  Random random(seed);
  const auto index = random_index(random);
  RegistryOptions server_options;
  auto& dialect = server_options.dialect;
  auto& auth = server_options.auth;
  auth.kind = below(random, 3) == 0 ? RegistryAuth::Kind::basic : RegistryAuth::Kind::bearer;
  auth.realm = below(random, 2) == 0 ? realms.front() : one_of(random, realms);
  auth.first_scope_only = below(random, 8) == 0;
  auth.oauth2 = below(random, 4) != 0;
  if (below(random, 2) == 0) {
    dialect.blob_redirect = one_of(random, std::vector<int>{301, 302, 303, 307, 308});
    dialect.blob_location = one_of(random, places);
    dialect.redirect_blob_head = below(random, 2) == 0;
  }
  if (below(random, 2) == 0) {
    dialect.uploads_at_storage = true;
    dialect.upload_location = one_of(random, places);
  }
  if (below(random, 4) == 0) {
    dialect.manifest_location = one_of(random, places);
  }
  dialect.storage_refuses_authorization = below(random, 2) == 0;
  if (below(random, 3) == 0) {
    dialect.min_chunk = 16384;
  }
  RegistryServer server(server_options);
  // An image that is there already is pulled through the same redirects.
  for (const auto& image : index.images) {
    server.put_blob("there/model", image.config.bytes());
    for (const auto& layer : image.layers) {
      const auto source = layer.blob->open();
      server.put_blob("there/model", io::read_text(*source, 1 << 20, "a layer"));
    }
    server.put_manifest("there/model", image.manifest.bytes(),
                        std::string(oci::media_type::manifest));
  }
  server.put_manifest("there/model", index.document.bytes(), std::string(oci::media_type::index),
                      "1");

  Written written;
  const io::TempDirectory directory;
  registry::RegistryOptions options;
  options.credentials = std::make_shared<Known>(auth, below(random, 2) == 0, server.host());
  options.state_dir = directory.path() / "state";
  options.patience.attempts = 2;
  options.patience.first_delay = std::chrono::milliseconds(1);
  options.patience.max_delay = std::chrono::milliseconds(2);
  options.patience.stall_timeout = std::chrono::milliseconds(500);
  options.observer = [&](const registry::Exchange& exchange) {
    written.add(exchange.method + " " + exchange.url);
  };
  registry::Registry registry(options);
  const Operation op{.progress = written};
  int succeeded = 0;
  const auto attempt = [&](const auto& work) {
    try {
      work();
      ++succeeded;
    } catch (const Error& error) {
      written.add(error.message() + " " + error.hint());
      for (const auto& frame : error.context()) {
        written.add(frame);
      }
    }
  };
  attempt([&] {
    transfer::copy(*transfer::open_origin(index),
                   image::Location::parse("docker://" + server.host() + "/new/model:1"), registry,
                   {}, op);
  });
  attempt([&] {
    transfer::copy(image::Location::parse("docker://" + server.host() + "/there/model:1"),
                   image::Location::parse("oci:" + (directory.path() / "out").string() + ":1"),
                   registry, {}, op);
  });

  for (const auto& leak : server.leaks()) {
    throw std::logic_error(fmt::format("{} {} got a secret; realm {}, blobs {}, uploads {}, "
                                       "manifests {}",
                                       leak.method, leak.target, auth.realm, dialect.blob_location,
                                       dialect.upload_location, dialect.manifest_location));
  }
  for (const auto& secret : server.secrets()) {
    if (!secret.empty() && written.text().find(secret) != std::string::npos) {
      throw std::logic_error("a secret was written where people read");
    }
  }
  return succeeded;
}

} // namespace

int main(int argc, char** argv) {
  const std::uint64_t runs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  int failures = 0;
  int succeeded = 0;
  for (std::uint64_t seed = first; seed < first + runs; ++seed) {
    try {
      succeeded += one_run(seed);
    } catch (const std::exception& error) {
      ++failures;
      std::cerr << fmt::format("seed {}: {}\n", seed, error.what());
    }
  }
  std::cout << fmt::format("{} permutations: {} of {} copies succeeded, {} leaks\n", runs,
                           succeeded, 2 * runs, failures);
  // Without copies that got through, nothing would have carried a secret.
  return failures == 0 && succeeded > static_cast<int>(runs) / 4 ? 0 : 1;
}
