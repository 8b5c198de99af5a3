// COSE_Sign1 (RFC 9052, section 4.2) as the Notary Project fills it in: tag 18, a list of
//   protected header (a map inside a byte string), unprotected header (a map), payload, signature
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "cbor.hpp"
#include "notation.hpp"

#include <array>

#include <fmt/format.h>

namespace aipack::sign {
namespace {

using Kind = CborItem::Kind;

constexpr std::int64_t sign1_tag = 18;
constexpr std::int64_t time_tag = 1;
constexpr std::int64_t algorithm_label = 1;
constexpr std::int64_t critical_label = 2;
constexpr std::int64_t content_type_label = 3;
constexpr std::int64_t certificates_label = 33; // RFC 9360, x5chain
constexpr std::string_view scheme_label = "io.cncf.notary.signingScheme";
constexpr std::string_view time_label = "io.cncf.notary.signingTime";
constexpr std::string_view expiry_label = "io.cncf.notary.expiry";
constexpr std::string_view timestamp_label = "io.cncf.notary.timestampSignature";

struct Algorithm {
  std::int64_t cose;
  std::string_view jose;
};
constexpr std::array algorithms{Algorithm{-7, "ES256"},  Algorithm{-35, "ES384"},
                                Algorithm{-36, "ES512"}, Algorithm{-37, "PS256"},
                                Algorithm{-38, "PS384"}, Algorithm{-39, "PS512"}};

/// A COSE envelope with what errors call it.
class Envelope {
public:
  Envelope(std::string_view cbor, std::string_view name)
      : name_(name), root_(parse_cbor(cbor, name)) {
    if (root_.kind != Kind::tag || root_.number != sign1_tag || root_.items[0].kind != Kind::list ||
        root_.items[0].items.size() != 4) {
      refuse("it is no COSE_Sign1");
    }
    protected_ = parse_cbor(part(0, Kind::bytes).text, name);
    expect(protected_, Kind::map, "protected header");
  }

  [[nodiscard]] const CborItem& part(std::size_t at, Kind kind) const {
    return expect(root_.items[0].items[at], kind, "part " + std::to_string(at));
  }
  template <class Label>
  [[nodiscard]] const CborItem& header(Label label, Kind kind) const {
    const CborItem* const found = protected_.find(label);
    if (found == nullptr) {
      refuse(fmt::format("its protected header {} is missing", label));
    }
    return expect(*found, kind, fmt::format("protected header {}", label));
  }
  [[nodiscard]] const CborItem* find_header(std::string_view label) const noexcept {
    return protected_.find(label);
  }
  [[nodiscard]] bool has_header(const CborItem& label) const noexcept {
    return label.kind == Kind::integer ? protected_.find(label.number) != nullptr
                                       : protected_.find(label.text) != nullptr;
  }
  const CborItem& expect(const CborItem& item, Kind kind, const std::string& what) const {
    if (item.kind != kind) {
      refuse(fmt::format("its {} is of the wrong kind", what));
    }
    return item;
  }
  [[nodiscard]] std::chrono::sys_seconds time(const CborItem& item, std::string_view what) const {
    if (item.kind != Kind::tag || item.number != time_tag || item.items[0].kind != Kind::integer) {
      refuse(fmt::format("its {} is no time", what));
    }
    return std::chrono::sys_seconds(std::chrono::seconds(item.items[0].number));
  }
  [[noreturn]] void refuse(std::string_view cause) const {
    throw FormatError(std::string(name_), std::nullopt, cause);
  }

private:
  std::string_view name_;
  CborItem root_;
  CborItem protected_;
};

/// What must be understood is there, and is known.
void check_critical(const Envelope& envelope) {
  bool has_scheme = false;
  for (const CborItem& label : envelope.header(critical_label, Kind::list).items) {
    const bool is_known =
        (label.kind == Kind::text && (label.text == scheme_label || label.text == expiry_label)) ||
        (label.kind == Kind::integer && label.number == content_type_label);
    if (!is_known || !envelope.has_header(label)) {
      envelope.refuse("it demands a header that is not known, or not there");
    }
    has_scheme = has_scheme || label.text == scheme_label;
  }
  if (!has_scheme) {
    envelope.refuse("its signing scheme is not critical");
  }
}

std::string algorithm_of(const Envelope& envelope) {
  const std::int64_t number = envelope.header(algorithm_label, Kind::integer).number;
  for (const Algorithm& algorithm : algorithms) {
    if (algorithm.cose == number) {
      return std::string(algorithm.jose);
    }
  }
  envelope.refuse(fmt::format("its algorithm {} is not known", number));
}

CertificateChain chain_of(const Envelope& envelope, std::string_view name) {
  const CborItem* const found = envelope.part(1, Kind::map).find(certificates_label);
  if (found == nullptr) {
    envelope.refuse("its certificates are missing");
  }
  CertificateChain chain;
  const auto add = [&](const CborItem& item) {
    chain.push_back(
        Certificate::parse_der(envelope.expect(item, Kind::bytes, "certificate").text, name));
  };
  if (found->kind == Kind::bytes) { // a chain of one
    add(*found);
    return chain;
  }
  const auto& items = envelope.expect(*found, Kind::list, "certificates").items;
  if (items.size() > max_chain_length) {
    envelope.refuse("it has too many certificates");
  }
  for (const CborItem& item : items) {
    add(item);
  }
  return chain;
}

/// Sig_structure, RFC 9052, section 4.4.
std::string signed_bytes_of(const Envelope& envelope) {
  constexpr std::string_view head = "\x84\x6aSignature1"; // a list of four, a text of ten
  return std::string(head) + cbor_bytes(envelope.part(0, Kind::bytes).text) + cbor_bytes({}) +
         cbor_bytes(envelope.part(2, Kind::bytes).text);
}

} // namespace

NotationEnvelope parse_notation_cose(std::string_view cbor, std::string_view name) {
  if (cbor.size() > max_notation_bytes) {
    throw FormatError(std::string(name), std::nullopt,
                      fmt::format("it is larger than {} bytes", max_notation_bytes));
  }
  const Envelope envelope(cbor, name);
  check_critical(envelope);
  if (envelope.header(content_type_label, Kind::text).text != notation_payload_type) {
    envelope.refuse("its content type is not that of notation");
  }
  if (envelope.header(scheme_label, Kind::text).text != notation_scheme) {
    envelope.refuse("its signing scheme is not " + std::string(notation_scheme));
  }
  NotationEnvelope found{.algorithm = algorithm_of(envelope),
                         .signed_bytes = signed_bytes_of(envelope),
                         .signature = envelope.part(3, Kind::bytes).text,
                         .payload = envelope.part(2, Kind::bytes).text,
                         .chain = chain_of(envelope, name),
                         .signing_time =
                             envelope.time(envelope.header(time_label, Kind::tag), time_label)};
  if (const CborItem* const expiry = envelope.find_header(expiry_label)) {
    found.expiry = envelope.time(*expiry, expiry_label);
  }
  if (const CborItem* const timestamp = envelope.part(1, Kind::map).find(timestamp_label)) {
    found.timestamp = envelope.expect(*timestamp, Kind::bytes, "time stamp").text;
  }
  return found;
}

} // namespace aipack::sign
