#include "aipack/oci/reference.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <variant>

namespace aipack::oci {
namespace {

constexpr std::size_t max_host_bytes = 255;       // DNS, RFC 1035
constexpr std::size_t max_repository_bytes = 255; // what registries store
constexpr std::size_t max_tag_bytes = 128;        // distribution-spec 1.1
constexpr std::size_t max_reference_bytes = 1024; // the parts above, a port and a digest

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) noexcept {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) noexcept {
  return c >= 'A' && c <= 'Z';
}
bool is_alphanumeric(char c) noexcept {
  return is_digit(c) || is_lower(c) || is_upper(c);
}
bool is_hex(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// What is wrong with a part; empty: nothing.
using Fault = std::string;

/// HOST is DNS labels, an IPv4 address or a bracketed IPv6 address; PORT is 1..65535.
Fault fault_of_registry(std::string_view text) {
  const Fault bad = "its registry " + quoted(text) + " is no host name with an optional port";
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) {
      return bad;
    }
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    has_port = !rest.empty();
    if (has_port && rest.front() != ':') {
      return bad;
    }
    port = has_port ? rest.substr(1) : rest;
    const bool is_ipv6 = host.size() >= 2 && host.find(':') != std::string_view::npos &&
                         std::all_of(host.begin(), host.end(),
                                     [](char c) { return is_hex(c) || c == ':' || c == '.'; });
    if (!is_ipv6) {
      return bad;
    }
  } else {
    const std::size_t colon = text.find(':');
    has_port = colon != std::string_view::npos;
    host = text.substr(0, colon);
    port = has_port ? text.substr(colon + 1) : std::string_view{};
    const auto is_label = [](std::string_view label) {
      return !label.empty() && label.front() != '-' && label.back() != '-' &&
             std::all_of(label.begin(), label.end(),
                         [](char c) { return is_alphanumeric(c) || c == '-'; });
    };
    const auto labels = split(host, '.');
    if (!std::all_of(labels.begin(), labels.end(), is_label)) {
      return bad;
    }
  }
  if (host.size() > max_host_bytes) {
    return bad;
  }
  if (has_port) {
    const auto number = port.size() <= 5 ? parse_decimal(port) : std::nullopt;
    if (!number || *number == 0 || *number > 65535) {
      return "its port " + quoted(port) + " is no number from 1 to 65535";
    }
  }
  return {};
}

/// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool is_repository_part(std::string_view part) noexcept {
  const auto is_word = [](char c) { return is_lower(c) || is_digit(c); };
  std::size_t at = 0;
  for (;;) {
    const std::size_t word = at;
    while (at < part.size() && is_word(part[at])) {
      ++at;
    }
    if (at == word) {
      return false; // starts, ends or goes on with a separator
    }
    if (at == part.size()) {
      return true;
    }
    const std::size_t separator = at;
    const char kind = part[at];
    while (at < part.size() && part[at] == kind) {
      ++at;
    }
    const std::size_t length = at - separator;
    if (!((kind == '.' && length == 1) || (kind == '_' && length <= 2) || kind == '-')) {
      return false;
    }
  }
}

Fault fault_of_repository(std::string_view text) {
  if (text.empty()) {
    return "it names no repository";
  }
  if (text.size() > max_repository_bytes) {
    return "its repository is longer than " + std::to_string(max_repository_bytes) + " bytes";
  }
  if (std::any_of(text.begin(), text.end(), is_upper)) {
    return "its repository " + quoted(text) + " has upper-case letters";
  }
  const auto parts = split(text, '/');
  if (!std::all_of(parts.begin(), parts.end(), is_repository_part)) {
    return "its repository " + quoted(text) +
           " must be lower-case words joined by '.', '_', '__' or '-', with single slashes between";
  }
  return {};
}

Fault fault_of_tag(std::string_view text) {
  const auto is_word = [](char c) { return is_alphanumeric(c) || c == '_'; };
  if (text.empty()) {
    return "its tag is empty";
  }
  if (text.size() > max_tag_bytes) {
    return "its tag is longer than " + std::to_string(max_tag_bytes) + " bytes";
  }
  if (!is_word(text.front()) || !std::all_of(text.begin(), text.end(), [&](char c) {
        return is_word(c) || c == '.' || c == '-';
      })) {
    return "its tag " + quoted(text) + " must be letters, digits, '_', '.' and '-'";
  }
  return {};
}

/// The parts as they stand in the text; nothing is copied before it is known to be good.
struct Parts {
  std::string_view registry;
  std::string_view repository;
  std::string_view tag;
  std::optional<Digest> digest;
};

std::variant<Parts, Fault> take_apart(std::string_view text) {
  if (text.empty()) {
    return Fault("it is empty");
  }
  if (text.size() > max_reference_bytes) {
    return Fault("it is too long");
  }
  if (text.find("://") != std::string_view::npos) {
    return Fault("a reference has no scheme, it starts with the registry's host");
  }
  Parts parts;
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    parts.digest = Digest::try_parse(rest.substr(at + 1));
    if (!parts.digest) {
      return "its digest " + quoted(rest.substr(at + 1)) +
             " must be 'sha256:' and 64 lower-case hexadecimal digits";
    }
    rest = rest.substr(0, at);
  }
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    const std::string_view first = rest.substr(0, slash);
    if (first == "localhost" || first.find_first_of(".:") != std::string_view::npos) {
      if (Fault fault = fault_of_registry(first); !fault.empty()) {
        return fault;
      }
      parts.registry = first;
      rest = rest.substr(slash + 1);
    }
  }
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    parts.tag = rest.substr(colon + 1);
    if (Fault fault = fault_of_tag(parts.tag); !fault.empty()) {
      return fault;
    }
    rest = rest.substr(0, colon);
  }
  if (Fault fault = fault_of_repository(rest); !fault.empty()) {
    return fault;
  }
  parts.repository = rest;
  return parts;
}

} // namespace

std::optional<Reference> Reference::try_parse(std::string_view text) {
  const auto outcome = take_apart(text);
  const Parts* parts = std::get_if<Parts>(&outcome);
  if (parts == nullptr) {
    return std::nullopt;
  }
  Reference reference;
  reference.registry_ = parts->registry;
  reference.repository_ = parts->repository;
  reference.tag_ = parts->tag;
  reference.digest_ = parts->digest;
  return reference;
}

Reference Reference::parse(std::string_view text) {
  if (auto reference = try_parse(text)) {
    return *std::move(reference);
  }
  const auto outcome = take_apart(text);
  throw Error(ErrorCode::invalid_input,
              "cannot parse reference " + quoted(text) + ": " + std::get<Fault>(outcome))
      .with_hint("write it as 'registry.example/team/model:1.0'");
}

std::string Reference::to_string() const {
  std::string text;
  if (!registry_.empty()) {
    text += registry_ + "/";
  }
  text += repository_;
  if (!tag_.empty()) {
    text += ":" + tag_;
  }
  if (digest_) {
    text += "@" + digest_->to_string();
  }
  return text;
}

Reference Reference::with_digest(const Digest& digest) const {
  Reference result = *this;
  result.tag_.clear();
  result.digest_ = digest;
  return result;
}

} // namespace aipack::oci
