// aipack-serve: parse, open the runtime, listen, load the models, serve until a signal, finish, go.

#include "cpu.hpp"
#include "documents.hpp"
#include "error.hpp"
#include "http_server.hpp"
#include "infer_response.hpp"
#include "json_cursor.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "options.hpp"
#include "ort_library.hpp"
#include "ort_model.hpp"
#include "quiet_stdio.hpp"
#include "service.hpp"
#include "text.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#ifndef AIPACK_SERVE_VERSION
#error "AIPACK_SERVE_VERSION is defined by the build"
#endif

namespace aipack::serve {
namespace {

using Clock = std::chrono::steady_clock;

/// Time that interrupted inferences get to return after the grace period.
inline constexpr std::chrono::seconds interrupt_time{2};

[[nodiscard]] std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

/// SIGTERM and SIGINT are waited for, in every thread that starts after this. As process 1 a signal
/// with the default action would be ignored by the kernel, so that they get a handler, though it
/// never runs.
[[nodiscard]] sigset_t take_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  return stop;
}

void raise_file_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

[[nodiscard]] Repository load_models(std::span<const ModelFile> files, const OrtLibrary& ort,
                                     Metrics& metrics, Logger& log) {
  const QuietStdio quiet; // the first session makes the runtime register all schemas once more,
                          // with a warning for each
  Repository repository;
  for (const ModelFile& file : files) {
    const Clock::time_point start = Clock::now();
    repository.emplace(file.name, load_model(ort, file, log));
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    metrics.set_model_load_seconds(file.name, seconds);
    log.info("model loaded",
             {{"model", file.name}, {"path", file.path}, {"milliseconds", seconds * 1e3}});
  }
  return repository;
}

[[nodiscard]] ServerFacts facts_of(const OrtLibrary& ort) {
  return {.version = AIPACK_SERVE_VERSION,
          .runtime_version = ort.version(),
          .runtime_path = ort.path()};
}

void print(const std::string& text) {
  std::cout << text << '\n' << std::flush;
  if (!std::cout) {
    throw StartupError(ExitCode::io, "cannot write to standard output");
  }
}

[[nodiscard]] std::string read_all(const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) {
      throw StartupError(ExitCode::not_found,
                         "cannot read " + quote(path) + ": " + std::strerror(errno));
    }
  }
  std::istream& in = path == "-" ? std::cin : file;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The "model_name" of a request, "" when it has none; the rest of the request is left to the real
/// reader.
[[nodiscard]] std::string model_name_in(const std::string& request) {
  JsonCursor cursor(request);
  std::string key;
  std::string name;
  cursor.begin_object();
  while (cursor.next_member(key)) {
    if (key == "model_name" && cursor.peek() == JsonCursor::Kind::string) {
      name = cursor.read_string();
    } else {
      cursor.skip_value();
    }
  }
  return name;
}

/// --predict: the same path through the code as over HTTP, without a socket.
void predict(const Options& options, Repository& repository) {
  const std::string body = read_all(options.predict_file);
  try {
    std::string name = model_name_in(body);
    if (name.empty() && repository.size() == 1) {
      name = repository.begin()->first;
    }
    const auto found = repository.find(name);
    if (found == repository.end()) {
      throw RequestError("cannot choose a model: the request's \"model_name\" is " + quote(name));
    }
    Model& model = *found->second;
    InferRequest request = parse_infer_request(model.signature(), body, {});
    for (RequestedOutput& output : request.outputs) {
      output.binary = false; // there is no header to say where binary data would begin
    }
    print(write_infer_response(name, request, model.run(request.inputs, request.outputs)).body);
  } catch (const RequestError& error) {
    throw StartupError(error.status() == Status::internal ? ExitCode::bug : ExitCode::invalid_input,
                       error.what());
  }
}

/// Blocks until a signal, and returns it.
int wait_for_signal(const sigset_t& signals) {
  int number = 0;
  while (::sigwait(&signals, &number) != 0) {
  }
  return number;
}

/// True when the models are loaded (or failed to), false when a signal came first.
[[nodiscard]] bool finishes_before_signal(const std::future<Repository>& loading,
                                          const sigset_t& signals) {
  const timespec no_time{};
  while (loading.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
    if (::sigtimedwait(&signals, nullptr, &no_time) > 0) {
      return false;
    }
  }
  return true;
}

/// Finishes requests in flight within the grace period, gives up the rest. True when nothing was
/// given up.
[[nodiscard]] bool drain(HttpServer& server, Service& service, const Options& options,
                         const sigset_t& signals) {
  const auto until = Clock::now() + std::chrono::seconds(options.grace_seconds);
  // A second signal ends the grace period, so that the wait is in short steps.
  const timespec no_time{};
  bool finished = false;
  while (!(finished =
               server.wait_until(std::min(until, Clock::now() + std::chrono::milliseconds(100)))) &&
         Clock::now() < until && ::sigtimedwait(&signals, nullptr, &no_time) < 0) {
  }
  if (finished) {
    return true;
  }
  service.interrupt();
  return server.wait_until(Clock::now() + interrupt_time);
}

void serve(const Options& options, std::span<const ModelFile> files, const OrtLibrary& ort,
           unsigned cpus, const sigset_t& signals, Logger& log) {
  Metrics metrics;
  const unsigned concurrency =
      options.max_concurrency != 0 ? options.max_concurrency : std::max(16U, 4 * cpus);
  Service service({.max_concurrency = concurrency}, facts_of(ort), metrics, log);
  Repository repository; // outlives the server below, and with it every request
  HttpServer server({.host = options.host,
                     .port = options.port,
                     .max_connections = options.max_connections,
                     .max_request_bytes = options.max_request_bytes,
                     .times = {.idle = std::chrono::seconds(options.keep_alive_seconds),
                               .request = std::chrono::seconds(options.read_timeout_seconds),
                               .write = std::chrono::seconds(options.write_timeout_seconds)}},
                    service, metrics);
  // Listening before loading: large models take long, and the liveness probe must not fail
  // meanwhile.
  const unsigned port = server.start();
  log.info("listening", {{"host", options.host}, {"port", std::int64_t{port}}});
  auto loading =
      std::async(std::launch::async, [&] { return load_models(files, ort, metrics, log); });
  if (!finishes_before_signal(loading, signals)) {
    log.info("stopped while the models were loaded");
    std::_Exit(static_cast<int>(
        ExitCode::done)); // loading cannot be interrupted, and there is nothing to finish
  }
  repository = loading.get();
  service.publish(repository);
  log.info("ready", {{"version", std::string_view(AIPACK_SERVE_VERSION)},
                     {"onnxruntime", ort.version()},
                     {"models", static_cast<std::int64_t>(repository.size())},
                     {"threads", std::int64_t{options.threads}},
                     {"max_concurrency", std::int64_t{concurrency}}});

  const int number = wait_for_signal(signals);
  log.info("stopping", {{"signal", std::string_view(number == SIGINT ? "SIGINT" : "SIGTERM")},
                        {"in_flight", std::int64_t{service.in_flight()}}});
  service.drain();
  server.stop();
  if (!drain(server, service, options, signals)) {
    log.warning("stopped with requests unfinished",
                {{"in_flight", std::int64_t{service.in_flight()}}});
    std::_Exit(static_cast<int>(
        ExitCode::done)); // threads still run in the models: nothing may be destroyed
  }
  log.info("stopped");
}

void run(Options options, Logger& log) {
  if (options.action == Options::Action::version) {
    print(std::string(server_name) + " " + AIPACK_SERVE_VERSION);
    return;
  }
  if (options.action == Options::Action::help) {
    std::cout << help_text() << std::flush;
    return;
  }
  const sigset_t signals = take_signals();
  raise_file_limit();
  const unsigned cpus = available_cpus();
  options.threads = options.threads != 0 ? options.threads : cpus;
  const std::vector<ModelFile> files = find_models(options.models, options.model_name);
  const OrtLibrary ort(options.runtime_library, options.threads, log);
  log.info("runtime opened", {{"onnxruntime", ort.version()}, {"path", ort.path()}});
  if (options.action == Options::Action::serve) {
    serve(options, files, ort, cpus, signals, log);
    return;
  }
  // One-shot actions end at once on a signal, like any tool.
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  Metrics metrics;
  Repository repository = load_models(files, ort, metrics, log);
  if (options.action == Options::Action::check) {
    print(check_document(facts_of(ort), repository));
  } else {
    predict(options, repository);
  }
}

[[nodiscard]] int guarded_main(std::span<const std::string> arguments) {
  std::unique_ptr<Logger> log = std::make_unique<Logger>(LogFormat::json, LogLevel::info);
  const auto report = [&](std::string_view message, std::string_view hint) {
    if (hint.empty()) {
      log->error(message);
    } else {
      log->error(message, {{"hint", hint}});
    }
  };
  try {
    Options options = parse_options(arguments, environment_variable);
    // One-shot actions are for people and scripts: only what went wrong is worth a line.
    const bool one_shot = options.action != Options::Action::serve;
    const LogLevel level =
        one_shot ? std::max(options.log_level, LogLevel::warning) : options.log_level;
    log = std::make_unique<Logger>(options.log_format, level);
    run(std::move(options), *log);
    return static_cast<int>(ExitCode::done);
  } catch (const StartupError& error) {
    report(error.what(), error.hint());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    report(std::string("cannot go on: ") + error.what(), "this is a bug of aipack-serve");
    return static_cast<int>(ExitCode::bug);
  }
}

} // namespace
} // namespace aipack::serve

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  return aipack::serve::guarded_main(arguments);
}
