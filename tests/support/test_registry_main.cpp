// The test registry as a program:
//
//   test_registry [--port N] [--memory | --sink | --root DIR] [--dialect NAME] [--auth basic] …
//
// The first line on stdout is its address; it ends with SIGTERM, SIGINT, --max-seconds, or, if
// asked to, when stdin closes.
#include "support/registry_server.hpp"
#include "support/test_certificates.hpp"

#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace {

using namespace aipack::test;

constexpr std::string_view usage = R"(usage: test_registry [options]

  --port N              of the registry; 0 (default) takes any
  --memory              keep blobs in memory (default)
  --sink                keep sizes alone, verify nothing
  --root DIR            keep blobs in files below DIR
  --dialect NAME        one of: %DIALECTS%
  --min-chunk N         OCI-Chunk-Min-Length in bytes
  --auth KIND           none, basic or token
  --user NAME           default user
  --password TEXT       default "correct horse"
  --anonymous-pull      pulling needs no credentials
  --token-requests N    a token works for N requests
  --tls CERT KEY        PEM files
  --certificates DIR    make an authority and certificates there, write them, and speak TLS
  --client-ca FILE      require a client certificate of this authority (with --tls)
  --host-name NAME      in URLs that the registry makes up (default 127.0.0.1)
  --fault N:KIND[:AT]   the N-th request fails; KIND is a status code or one of
                        reset_in_request stall_in_request lost_request lost_answer reset_in_reply
                        stall_in_reply truncate_reply flip_reply redirect_loop wrong_range
                        wrong_length wrong_digest; AT is an offset in the body. Can be repeated
  --storm SEED:RATE     random faults; RATE is 0 to 1
  --storm-budget N      faults in all
  --repository NAME     exists from the start (for dialects that create none). Can be repeated
  --log FILE            a line of JSON for each finished request
  --max-seconds N       end after that time
  --until-stdin-closes  end when stdin is closed

The first line on stdout is HOST:PORT of the registry, the second those of its other origins.
)";

struct Fault {
  std::uint64_t number = 0;
  RegistryFault what{};
};

Fault parse_fault(const std::string& text) {
  const std::size_t first = text.find(':');
  const std::size_t second = text.find(':', first + 1);
  if (first == std::string::npos) {
    throw std::invalid_argument("--fault wants N:KIND[:AT]");
  }
  Fault fault{.number = std::stoull(text)};
  const std::string kind =
      text.substr(first + 1, second == std::string::npos ? std::string::npos : second - first - 1);
  if (const auto known = RegistryFault::find(kind)) {
    fault.what = RegistryFault::of(*known);
  } else {
    fault.what = RegistryFault::respond(std::stoi(kind));
  }
  if (second != std::string::npos) {
    fault.what.at = std::stoull(text.substr(second + 1));
  }
  return fault;
}

struct Settings {
  RegistryOptions options{};
  std::vector<Fault> faults{};
  std::vector<std::string> repositories{};
  int seconds = -1;
  bool until_stdin_closes = false;
};

std::string help() {
  std::string text(usage);
  std::string names;
  for (const auto& name : RegistryDialect::names()) {
    names += (names.empty() ? "" : " ") + name;
  }
  const std::string_view mark = "%DIALECTS%";
  return text.replace(text.find(mark), mark.size(), names);
}

Settings parse(const std::vector<std::string>& arguments) {
  Settings settings;
  RegistryOptions& options = settings.options;
  std::size_t at = 0;
  const auto next = [&] {
    if (at + 1 >= arguments.size()) {
      throw std::invalid_argument(arguments[at] + " wants a value");
    }
    return arguments[++at];
  };
  const auto storm = [&]() -> FaultStorm& {
    return options.storm ? *options.storm : options.storm.emplace();
  };
  const std::map<std::string, std::function<void()>> known{
      {"--port", [&] { options.port = static_cast<std::uint16_t>(std::stoul(next())); }},
      {"--memory", [&] { options.storage = RegistryStorage::memory; }},
      {"--sink", [&] { options.storage = RegistryStorage::sink; }},
      {"--root",
       [&] {
         options.storage = RegistryStorage::directory;
         options.root = next();
       }},
      {"--dialect",
       [&] {
         const auto dialect = RegistryDialect::find(next());
         if (!dialect) {
           throw std::invalid_argument("no such dialect: " + arguments[at]);
         }
         options.dialect = *dialect;
       }},
      {"--min-chunk", [&] { options.dialect.min_chunk = std::stoull(next()); }},
      {"--auth",
       [&] {
         const std::string kind = next();
         using Kind = RegistryAuth::Kind;
         if (kind != "none" && kind != "basic" && kind != "token") {
           throw std::invalid_argument("no such kind of authentication: " + kind);
         }
         options.auth.kind =
             kind == "token" ? Kind::bearer : (kind == "basic" ? Kind::basic : Kind::none);
       }},
      {"--user", [&] { options.auth.user = next(); }},
      {"--password", [&] { options.auth.password = next(); }},
      {"--anonymous-pull", [&] { options.auth.anonymous_pull = true; }},
      {"--token-requests", [&] { options.auth.requests_per_token = std::stoull(next()); }},
      {"--tls",
       [&] {
         auto& tls = options.tls ? *options.tls : options.tls.emplace();
         tls.certificate = next();
         tls.key = next();
       }},
      {"--certificates",
       [&] {
         const auto made = TestCertificates::make(next());
         auto& tls = options.tls ? *options.tls : options.tls.emplace();
         tls.certificate = made.server;
         tls.key = made.server_key;
       }},
      {"--client-ca",
       [&] { (options.tls ? *options.tls : options.tls.emplace()).client_ca = next(); }},
      {"--host-name", [&] { options.host_name = next(); }},
      {"--fault", [&] { settings.faults.push_back(parse_fault(next())); }},
      {"--storm",
       [&] {
         const std::string text = next();
         storm().seed = std::stoull(text);
         if (const auto colon = text.find(':'); colon != std::string::npos) {
           storm().rate = std::stod(text.substr(colon + 1));
         }
       }},
      {"--storm-budget", [&] { storm().budget = std::stoull(next()); }},
      {"--repository", [&] { settings.repositories.push_back(next()); }},
      {"--log", [&] { options.log = next(); }},
      {"--max-seconds", [&] { settings.seconds = std::stoi(next()); }},
      {"--until-stdin-closes", [&] { settings.until_stdin_closes = true; }},
      {"--help",
       [&] {
         std::cout << help();
         std::exit(0);
       }},
  };
  for (; at < arguments.size(); ++at) {
    const auto option = known.find(arguments[at]);
    if (option == known.end()) {
      throw std::invalid_argument("no such option: " + arguments[at]);
    }
    option->second();
  }
  return settings;
}

/// Until a signal, the end of time, or the end of stdin.
void wait(int signals, const Settings& settings) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(settings.seconds);
  for (;;) {
    int timeout = -1;
    if (settings.seconds >= 0) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      if (left.count() <= 0) {
        return;
      }
      timeout = static_cast<int>(left.count());
    }
    pollfd events[] = {{signals, POLLIN, 0},
                       {settings.until_stdin_closes ? STDIN_FILENO : -1, POLLIN, 0}};
    if (::poll(events, 2, timeout) < 0) {
      continue;
    }
    char waste[256];
    const bool stdin_ended =
        (events[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 ||
        ((events[1].revents & POLLIN) != 0 && ::read(STDIN_FILENO, waste, sizeof waste) <= 0);
    if (events[0].revents != 0 || stdin_ended) {
      return;
    }
  }
}

} // namespace

int main(int argc, char** argv) {
  try {
    // Blocked before any thread starts, so that every thread inherits it.
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
      ::sigaddset(&set, signal);
    }
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    const int signals = ::signalfd(-1, &set, SFD_CLOEXEC);

    Settings settings = parse({argv + 1, argv + argc});
    if (!settings.faults.empty()) {
      settings.options.faults = [faults = settings.faults,
                                 seen = std::uint64_t{0}](const RegistryRequest&) mutable {
        ++seen;
        for (const auto& fault : faults) {
          if (fault.number == seen) {
            return fault.what;
          }
        }
        return RegistryFault{};
      };
    }
    RegistryServer registry(settings.options);
    for (const auto& repository : settings.repositories) {
      registry.create_repository(repository);
    }
    std::cout << registry.host() << '\n'
              << "token=" << registry.host(Origin::token)
              << " storage=" << registry.host(Origin::storage)
              << " foreign=" << registry.host(Origin::foreign) << std::endl;
    wait(signals, settings);
    return 0;
  } catch (const std::exception& failure) {
    std::cerr << "test_registry: " << failure.what() << '\n';
    return 2;
  }
}
