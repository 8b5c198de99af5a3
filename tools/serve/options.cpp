#include "options.hpp"

#include "error.hpp"
#include "text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>

namespace aipack::serve {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw StartupError(ExitCode::invalid_input, message, "run 'aipack-serve --help'");
}

[[nodiscard]] std::uint64_t parse_number(const std::string& source, const std::string& text,
                                         std::uint64_t low, std::uint64_t high) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < low ||
      value > high) {
    refuse("cannot read " + source + ": " + quote(text) + " is not a number from " +
           std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

/// "1048576", "64MiB", "64M": K, M and G are powers of 1024.
[[nodiscard]] std::uint64_t parse_bytes(const std::string& source, const std::string& text) {
  constexpr std::uint64_t most = std::uint64_t{1} << 40U;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string unit = text.substr(digits);
  static const std::map<std::string, unsigned, std::less<>> shifts{
      {"", 0}, {"K", 10}, {"KiB", 10}, {"M", 20}, {"MiB", 20}, {"G", 30}, {"GiB", 30}};
  const auto shift = shifts.find(unit);
  if (shift == shifts.end()) {
    refuse("cannot read " + source + ": " + quote(text) +
           " is not a size such as 65536, 64MiB or 1GiB");
  }
  return parse_number(source, text.substr(0, digits), 1, most >> shift->second) << shift->second;
}

template <class T>
[[nodiscard]] T parse_word(const std::string& source, const std::string& text,
                           const std::map<std::string, T, std::less<>>& words) {
  const auto found = words.find(text);
  if (found == words.end()) {
    std::string list;
    for (const auto& [word, value] : words) {
      list += (list.empty() ? "" : ", ") + word;
    }
    refuse("cannot read " + source + ": " + quote(text) + " is not one of " + list);
  }
  return found->second;
}

/// One flag with a value. `set` gets the option's source for messages ("--port" or
/// "AIPACK_SERVE_PORT") and the value's text.
struct Flag {
  std::string_view name;
  std::string_view value;
  std::string_view help;
  void (*set)(Options&, const std::string& source, const std::string& text);
};

constexpr std::uint64_t day = 86400;

template <unsigned Options::*member, std::uint64_t low, std::uint64_t high>
void set_number(Options& o, const std::string& source, const std::string& text) {
  o.*member = static_cast<unsigned>(parse_number(source, text, low, high));
}

template <std::string Options::*member>
void set_text(Options& o, const std::string& source, const std::string& text) {
  if (text.empty()) {
    refuse("cannot read " + source + ": it is empty");
  }
  o.*member = text;
}

constexpr std::array flags{
    Flag{"models", "PATH",
         "folder with *.onnx files, in it or one level below, or one file [/models]",
         set_text<&Options::models>},
    Flag{"model-name", "NAME", "name of the model when there is exactly one [the file's stem]",
         set_text<&Options::model_name>},
    Flag{"host", "ADDRESS", "address to listen on [0.0.0.0]", set_text<&Options::host>},
    Flag{"port", "N", "port to listen on, 0 for any free one [8080]",
         set_number<&Options::port, 0, 65535>},
    Flag{"threads", "N", "threads of one inference [the CPUs that the process may use]",
         set_number<&Options::threads, 1, 1024>},
    Flag{"max-concurrency", "N", "inference requests at once, more get 503 [4 a CPU, at least 16]",
         set_number<&Options::max_concurrency, 1, 65536>},
    Flag{"max-connections", "N", "HTTP connections at once [256]",
         set_number<&Options::max_connections, 1, 16384>},
    Flag{"max-request-bytes", "SIZE", "largest request body, more gets 413 [64MiB]",
         [](Options& o, const std::string& source, const std::string& text) {
           o.max_request_bytes = parse_bytes(source, text);
         }},
    Flag{"keep-alive", "SECONDS", "an idle connection is closed after this [30]",
         set_number<&Options::keep_alive_seconds, 1, day>},
    Flag{"read-timeout", "SECONDS", "time for the whole of a request to arrive [60]",
         set_number<&Options::read_timeout_seconds, 1, day>},
    Flag{"write-timeout", "SECONDS", "time that a client may take no byte of its response [60]",
         set_number<&Options::write_timeout_seconds, 1, day>},
    Flag{"grace", "SECONDS", "time to finish requests after SIGTERM [30]",
         set_number<&Options::grace_seconds, 0, day>},
    Flag{"log-format", "FORMAT", "json or text [json]",
         [](Options& o, const std::string& source, const std::string& text) {
           o.log_format = parse_word<LogFormat>(
               source, text, {{"json", LogFormat::json}, {"text", LogFormat::text}});
         }},
    Flag{"log-level", "LEVEL", "debug, info, warning, error or off [info]",
         [](Options& o, const std::string& source, const std::string& text) {
           o.log_level = parse_word<LogLevel>(source, text,
                                              {{"debug", LogLevel::debug},
                                               {"info", LogLevel::info},
                                               {"warning", LogLevel::warning},
                                               {"error", LogLevel::error},
                                               {"off", LogLevel::off}});
         }},
    Flag{"runtime-library", "PATH",
         "libonnxruntime.so.*, or the folder that holds it [the system's folders]",
         set_text<&Options::runtime_library>},
};

/// AIPACK_SERVE_MAX_REQUEST_BYTES for max-request-bytes.
[[nodiscard]] std::string variable_of(std::string_view flag) {
  std::string out = "AIPACK_SERVE_";
  for (const char c : flag) {
    out.push_back(c == '-' ? '_' : static_cast<char>(c - ('a' - 'A')));
  }
  return out;
}

[[nodiscard]] const Flag* find_flag(std::string_view name) noexcept {
  for (const Flag& flag : flags) {
    if (flag.name == name) {
      return &flag;
    }
  }
  return nullptr;
}

} // namespace

Options parse_options(std::span<const std::string> arguments, const Environment& environment) {
  Options options;
  for (const Flag& flag : flags) {
    const std::string variable = variable_of(flag.name);
    if (const auto text = environment(variable); text && !text->empty()) {
      flag.set(options, variable, *text);
    }
  }
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--")) {
      refuse("cannot read the arguments: " + quote(argument) + " is not a flag");
    }
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    const auto value = [&]() -> std::string {
      if (equals != std::string::npos) {
        return argument.substr(equals + 1);
      }
      if (i + 1 == arguments.size()) {
        refuse("cannot read --" + name + ": its value is missing");
      }
      return arguments[++i];
    };
    if (const Flag* flag = find_flag(name)) {
      flag->set(options, "--" + name, value());
    } else if (name == "predict") {
      options.action = Options::Action::predict;
      options.predict_file = value();
    } else if (name == "check" && equals == std::string::npos) {
      options.action = Options::Action::check;
    } else if (name == "version" && equals == std::string::npos) {
      options.action = Options::Action::version;
    } else if (name == "help" && equals == std::string::npos) {
      options.action = Options::Action::help;
    } else {
      refuse("cannot read the arguments: unknown flag " + quote("--" + name));
    }
  }
  return options;
}

std::string help_text() {
  std::string out = "Usage: aipack-serve [FLAGS]\n\n"
                    "Serves ONNX models over HTTP by the Open Inference Protocol, version 2.\n\n";
  const auto line = [&](std::string_view flag, std::string_view help) {
    constexpr std::size_t column = 28;
    std::string text = "  --" + std::string(flag);
    text.resize(std::max(text.size() + 1, column), ' ');
    out += text;
    out += help;
    out.push_back('\n');
  };
  for (const Flag& flag : flags) {
    line(std::string(flag.name) + " " + std::string(flag.value), flag.help);
  }
  line("check", "load the models, print what they take and give, and exit");
  line("predict FILE", "answer the inference request in FILE (- for standard input) and exit");
  line("version", "print the version and exit");
  line("help", "print this and exit");
  out +=
      "\nEvery flag with a value can also come from the environment: --port is AIPACK_SERVE_PORT.\n"
      "\nExamples:\n"
      "  aipack-serve --models /models --port 8080\n"
      "  aipack-serve --models digits.onnx --predict request.json\n";
  return out;
}

} // namespace aipack::serve
