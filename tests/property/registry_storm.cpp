// Pushes and pulls through a failing network: registry_storm [RUNS] [FIRST_SEED]
//
// Each run has a registry of its own with a random dialect, random credentials and random faults. A
// run passes when every byte that arrived is right, every failure is a clean error, the tag names
// the old or the whole new image, the same command then finishes, and nothing temporary is left. A
// run that does not end is reported with its seed.
#include "aipack/blob/layout.hpp"
#include "aipack/core/error.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/transfer/copy.hpp"

#include "random_image.hpp"
#include "support/registry_server.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

namespace {

using namespace aipack;
using namespace aipack::test;
using Clock = std::chrono::steady_clock;

constexpr unsigned lanes = 6; // runs wait more than they work
constexpr auto longest_run = std::chrono::seconds(120);

class OneCredential final : public registry::CredentialStore {
public:
  explicit OneCredential(const RegistryAuth& auth)
      : credential_{.username = auth.user, .password = registry::Secret(auth.password)} {}
  std::optional<registry::Credential> find(std::string_view, std::string_view,
                                           const Operation&) override {
    return credential_;
  }

private:
  registry::Credential credential_;
};

void require(bool condition, std::string_view what) {
  if (!condition) {
    throw std::logic_error(std::string(what));
  }
}

struct Tally {
  std::atomic<std::uint64_t> runs{0};
  std::atomic<std::uint64_t> first_try{0};
  std::atomic<std::uint64_t> errors{0};
  std::atomic<std::uint64_t> faults{0};
  std::mutex mutex{};
  std::map<std::string, int> by_code{};
};

void check_layout(const std::filesystem::path& directory, const image::Index& index) {
  const auto blobs = directory / "blobs" / "sha256";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) {
      continue;
    }
    const auto path = entry.path().lexically_relative(directory).string();
    if (path == "index.json" || path == "oci-layout") {
      continue;
    }
    require(entry.path().parent_path() == blobs, "a temporary file was left: " + path);
    const auto bytes = io::read_file(entry.path(), std::uint64_t{1} << 30);
    require(oci::Digest::of(std::span(bytes)).hex() == entry.path().filename(),
            "a blob is not what its name says");
  }
  const auto layout = blob::Layout::open(directory);
  require(layout.resolve("1").digest == index.digest(), "the layout's tag names something else");
  for (const auto& image : index.images) {
    for (const auto& layer : image.layers) {
      const auto hex = layer.blob->descriptor().digest.hex();
      require(std::filesystem::exists(blobs / hex), "a layer is missing");
    }
  }
}

/// The registry holds all of the index, byte for byte.
void check_registry(const RegistryServer& server, const image::Index& index) {
  const auto stored = server.manifest("team/model", "1");
  require(stored && stored->bytes == index.document.bytes(), "the tag does not hold the index");
  for (const auto& image : index.images) {
    const auto manifest =
        server.manifest("team/model", image.manifest.descriptor().digest.to_string());
    require(manifest && manifest->bytes == image.manifest.bytes(), "a manifest is not there");
    require(server.blob(image.config.descriptor().digest.to_string()) == image.config.bytes(),
            "a config is not there");
    for (const auto& layer : image.layers) {
      const auto& descriptor = layer.blob->descriptor();
      const auto bytes = server.blob(descriptor.digest.to_string());
      require(bytes && oci::Digest::of(*bytes) == descriptor.digest, "a layer is not there");
    }
  }
}

FaultStorm random_storm(Random& random) {
  FaultStorm storm;
  storm.seed = random();
  storm.rate = one_of(random, std::vector<double>{0.02, 0.1, 0.3, 0.6});
  storm.stall = std::chrono::milliseconds(250);
  storm.in_a_row = 1 + static_cast<unsigned>(below(random, 4));
  storm.budget = below(random, 60);
  return storm;
}

RegistryAuth random_auth(Random& random) {
  RegistryAuth auth;
  auth.kind = one_of(random, std::vector{RegistryAuth::Kind::none, RegistryAuth::Kind::basic,
                                         RegistryAuth::Kind::bearer, RegistryAuth::Kind::bearer});
  if (below(random, 4) == 0) {
    // Far more than there are requests at once: a token that others used up counts as refused.
    auth.requests_per_token = 40 + below(random, 40);
  }
  return auth;
}

RegistryDialect random_dialect(Random& random) {
  static const std::vector<std::string> names{
      "full",         "distribution_2_8", "distribution_3", "crane", "zot",
      "ecr",          "google",           "ghcr",           "quay",  "no_single_post",
      "no_referrers", "cannot_resume",    "redirecting"};
  auto dialect = *RegistryDialect::find(one_of(random, names));
  if (below(random, 3) == 0 && dialect.chunks == RegistryDialect::Chunks::any) {
    dialect.min_chunk = 65536;
  }
  return dialect;
}

void one_run(std::uint64_t seed, Tally& tally) {
  Random random(seed);
  const auto index = random_index(random);
  const auto old = random_index(random);
  RegistryOptions server_options;
  server_options.dialect = random_dialect(random);
  server_options.auth = random_auth(random);
  RegistryServer server(server_options);
  server.create_repository("team/model"); // some registries make none
  const io::TempDirectory directory;
  const auto to = image::Location::parse("docker://" + server.host() + "/team/model:1");
  const auto layout = image::Location::parse("oci:" + (directory.path() / "out").string() + ":1");

  registry::RegistryOptions options;
  options.credentials = std::make_shared<OneCredential>(server_options.auth);
  options.state_dir = directory.path() / "state";
  options.patience.attempts = 2 + static_cast<unsigned>(below(random, 4));
  options.patience.first_delay = std::chrono::milliseconds(1);
  options.patience.max_delay = std::chrono::milliseconds(5);
  options.patience.max_retry_after = std::chrono::milliseconds(10);
  options.patience.stall_timeout = std::chrono::milliseconds(120);
  options.patience.answer_timeout = std::chrono::milliseconds(2000);
  const transfer::CopyOptions copy{.concurrency = 1 + static_cast<unsigned>(below(random, 8))};
  const auto origin = transfer::open_origin(index);
  {
    registry::Registry calm(options);
    transfer::copy(*transfer::open_origin(old), to, calm, copy, {});
  }

  server.set_storm(random_storm(random));
  bool pushed = false;
  try {
    registry::Registry registry(options);
    transfer::copy(*origin, to, registry, copy, {});
    pushed = true;
    transfer::copy(to, layout, registry, copy, {});
    ++tally.first_try;
  } catch (const Error& error) {
    ++tally.errors;
    require(error.code() != ErrorCode::internal, error.message());
    require(error.message().starts_with("cannot"), error.message());
    const std::lock_guard lock(tally.mutex);
    ++tally.by_code[std::string(to_string(error.code()))];
  }
  tally.faults += server.faults();
  server.set_storm(std::nullopt);
  const auto tag = server.manifest("team/model", "1");
  require(tag.has_value(), "the tag is gone");
  if (tag->digest == index.digest().to_string()) {
    check_registry(server, index);
  } else {
    require(!pushed && tag->digest == old.digest().to_string(), "the tag names something else");
  }
  // The same commands, in a new process as it were.
  registry::Registry again(options);
  transfer::copy(*origin, to, again, copy, {});
  transfer::copy(to, layout, again, copy, {});
  check_registry(server, index);
  check_layout(directory.path() / "out", index);
  require(server.leaks().empty(), "credentials went to another origin");
  ++tally.runs;
}

} // namespace

int main(int argc, char** argv) {
  const std::uint64_t runs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const auto began = Clock::now();
  Tally tally;
  std::atomic<std::uint64_t> next{first};
  std::atomic<int> failures{0};
  std::vector<std::atomic<std::uint64_t>> current(lanes);
  std::vector<std::atomic<std::int64_t>> since(lanes);
  const auto seconds_in = [&] {
    return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began).count();
  };
  std::atomic<unsigned> working{lanes};
  std::vector<std::thread> threads;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    threads.emplace_back([&, lane] {
      for (std::uint64_t seed = next++; seed < first + runs; seed = next++) {
        since[lane] = seconds_in();
        current[lane] = seed;
        try {
          one_run(seed, tally);
        } catch (const Error& error) {
          ++failures;
          std::cerr << fmt::format("seed {}: {} ({})\n", seed, error.message(),
                                   to_string(error.code()));
        } catch (const std::exception& error) {
          ++failures;
          std::cerr << fmt::format("seed {}: {}\n", seed, error.what());
        }
      }
      current[lane] = 0;
      --working;
    });
  }
  while (working != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    for (unsigned lane = 0; lane < lanes; ++lane) {
      if (current[lane] != 0 && seconds_in() - since[lane] > longest_run.count()) {
        std::cerr << fmt::format("seed {}: it hangs\n", current[lane].load());
        std::_Exit(1);
      }
    }
  }
  for (auto& thread : threads) {
    thread.join();
  }
  std::string codes;
  for (const auto& [code, count] : tally.by_code) {
    codes += fmt::format(" {} {}", code, count);
  }
  std::cout << fmt::format("{} runs, {} faults: {} succeeded at once, {} ended in a clean error "
                           "({} ) and went through when repeated; {} failures\n",
                           runs, tally.faults.load(), tally.first_try.load(), tally.errors.load(),
                           codes, failures.load());
  const bool meaningful = tally.faults > runs / 10 && tally.first_try > 0 && tally.errors > 0;
  if (!meaningful) {
    std::cerr << "the storm was none\n";
  }
  return failures == 0 && meaningful ? 0 : 1;
}
