#pragma once

#include "aipack/io/temp_file.hpp"
#include "aipack/registry/registry.hpp"

#include "support/catch.hpp"
#include "support/generate.hpp"
#include "support/registry_server.hpp"
#include "support/temp.hpp"

#include <atomic>
#include <string>

#include <fmt/format.h>

/// What the tests of uploads and downloads share: clients of a test registry that lose no time
/// between tries, blobs, and a caller that stops in the middle.
namespace aipack::testing {

inline registry::Patience no_waiting() {
  return {.attempts = 5,
          .first_delay = std::chrono::milliseconds(1),
          .max_delay = std::chrono::milliseconds(4),
          .max_retry_after = std::chrono::milliseconds(2000),
          .stall_timeout = std::chrono::milliseconds(1000),
          .answer_timeout = std::chrono::milliseconds(5000)};
}

/// aipack's settings for a registry; `chunk_bytes` 0: the client's choice.
inline registry::RegistrySettings settings_for(const std::string& host, const std::string& upload,
                                               std::uint64_t chunk_bytes) {
  std::string text =
      fmt::format("[[registry]]\nlocation = \"{}\"\nupload = \"{}\"\n", host, upload);
  if (chunk_bytes > 0) {
    text += fmt::format("chunk-size = {}\n", chunk_bytes);
  }
  return registry::RegistrySettings::parse(text, "test.toml");
}

/// A process that talks to the test registry: another one of the same state directory is the next
/// process.
struct Client {
  explicit Client(const test::RegistryServer& server, std::filesystem::path state_dir = {},
                  std::uint64_t chunk_bytes = 0, const std::string& upload = "auto")
      : host(server.host()), client({.settings = settings_for(host, upload, chunk_bytes),
                                     .state_dir = std::move(state_dir),
                                     .patience = no_waiting()}) {}

  [[nodiscard]] registry::Repository repository(const std::string& name = "team/model") {
    return client.open(oci::Reference::parse(host + "/" + name), registry::Access::push);
  }

  std::string host;
  registry::Registry client;
};

inline oci::Descriptor descriptor_of(const std::string& bytes) {
  return {.media_type = "application/octet-stream",
          .digest = oci::Digest::of(bytes),
          .size_bytes = bytes.size()};
}

inline blob::BlobPtr blob_of(const std::string& bytes) {
  return blob::memory_blob(descriptor_of(bytes), bytes);
}

/// A header, a file and padding, as a weights layer has them.
struct Weights {
  explicit Weights(const std::string& payload) {
    path = directory.path() / "weights.bin";
    write_file(path, payload);
    recipe.add(std::string(512, 'h'));
    recipe.add(fs::FileExtent(path, 0, payload.size(), io::File::open(path).identity()));
    recipe.add(std::string(1024, '\0'));
    bytes = std::string(512, 'h') + payload + std::string(1024, '\0');
  }
  io::TempDirectory directory;
  std::filesystem::path path;
  blob::Recipe recipe;
  std::string bytes;
};

/// Asks to stop once so many bytes of any one piece of work were reported: Ctrl-C in the middle of
/// a transfer.
class StopAfter final : public ProgressSink {
public:
  explicit StopAfter(std::uint64_t bytes) : bytes_(bytes) {}
  void on_event(const ProgressEvent& event) noexcept override {
    if (event.kind == ProgressEvent::Kind::advance && event.done >= bytes_) {
      source_.request_stop();
    }
  }
  [[nodiscard]] Operation operation() { return {.stop = source_.get_token(), .progress = *this}; }

private:
  std::uint64_t bytes_;
  std::stop_source source_;
};

/// A log for a failed test to show: a line for each request.
inline std::string story(const test::RegistryServer& server) {
  std::string text;
  for (const auto& request : server.log()) {
    text +=
        fmt::format("{} {} {} -> {}, {} in, {} out{}\n", request.method, request.target,
                    request.header("Content-Range").value_or(""), request.status, request.received,
                    request.sent, request.fault.empty() ? "" : ", fault " + request.fault);
  }
  return text;
}

/// Methods of a log, in order.
inline std::vector<std::string> methods(const test::RegistryServer& server) {
  std::vector<std::string> out;
  for (const auto& request : server.log()) {
    out.push_back(request.method);
  }
  return out;
}

/// True once the registry has nothing else to do: a request that a client gave up may end later
/// than its call.
inline bool settles(const std::function<bool()>& condition) {
  for (int i = 0; i < 400; ++i) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

} // namespace aipack::testing
