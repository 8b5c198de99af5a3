#include "plain_signature.hpp"

#include <algorithm>
#include <limits>

namespace aipack::deb {

using openpgp::Packet;
using openpgp::PublicKey;
using openpgp::Signature;
using openpgp::Tag;

namespace {

constexpr std::uint8_t may_sign = 0x02; // key flags, RFC 9580, 5.2.3.29

/// 5.2.4: how a key stands in what a signature is over.
std::string key_part(const PublicKey& key) {
  std::string part = "\x99";
  part += static_cast<char>(key.body.size() >> 8U & 0xffU);
  part += static_cast<char>(key.body.size() & 0xffU);
  return part + key.body;
}

/// 5.2.4: how a user ID or attribute stands in what a certification is over.
std::string user_part(const Packet& packet) {
  const auto size = static_cast<std::uint32_t>(packet.body.size());
  std::string part(1, packet.is(Tag::user_id) ? '\xb4' : '\xd1');
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    part += static_cast<char>(size >> shift & 0xffU);
  }
  return part + std::string(packet.body);
}

bool is_certification(const Signature& signature) noexcept {
  return signature.type >= static_cast<std::uint8_t>(Signature::Type::generic_certification) &&
         signature.type <= static_cast<std::uint8_t>(Signature::Type::positive_certification);
}

/// Made by `now` and not expired then.
bool is_current(const Signature& signature, std::int64_t now) noexcept {
  return signature.created <= now &&
         (signature.lifetime_seconds == 0 ||
          std::int64_t{signature.created} + signature.lifetime_seconds > now);
}

/// What the signatures over one key by its own primary key say.
struct Claims {
  bool is_vouched_for = false; ///< by one that holds
  bool is_refused = false;     ///< by one that may or may not hold
};

/// `claim` says of `key` that it is still valid at `now`.
bool keeps_valid(const Signature& claim, const PublicKey& key, std::int64_t now) noexcept {
  const std::uint32_t lifetime = claim.key_lifetime.value_or(0);
  return is_current(claim, now) && (lifetime == 0 || std::int64_t{key.created} + lifetime > now);
}

bool says_may_sign(const Signature& claim) noexcept {
  return claim.key_flags && (*claim.key_flags & may_sign) != 0;
}

/// A subkey that signs must say itself whose it is: nobody can adopt it (5.2.1.9).
bool is_bound_back(const Signature& binding, const PublicKey& primary, const PublicKey& subkey,
                   std::int64_t now) {
  const auto back = Signature::read(binding.embedded);
  return back && back->is(Signature::Type::primary_key_binding) && back->issuer_id == subkey.id() &&
         is_current(*back, now) &&
         openpgp::holds(*back, subkey, {key_part(primary), key_part(subkey)});
}

/// Walks through a certificate and gathers what its primary key says of itself and of one subkey.
class Walk {
public:
  Walk(const std::vector<PublicKey>& keys, std::size_t wanted, std::int64_t now)
      : keys_(keys), wanted_(wanted), now_(now) {}

  /// False when the packet leaves something to judge.
  bool take(const Packet& packet) {
    if (packet.is(Tag::user_id) || packet.is(Tag::user_attribute)) {
      user_ = user_part(packet);
      return at_ == 0;
    }
    if (packet.is(Tag::public_subkey)) {
      user_.clear();
      return ++at_ < keys_.size();
    }
    const auto signature = packet.is(Tag::signature) ? Signature::read(packet.body) : std::nullopt;
    return signature && take(*signature);
  }

  [[nodiscard]] bool vouches() const noexcept {
    return primary_.is_vouched_for && !primary_.is_refused &&
           (wanted_ == 0 || (subkey_.is_vouched_for && !subkey_.is_refused));
  }

private:
  bool take(const Signature& signature) {
    const PublicKey& primary = keys_.front();
    if (is_certification(signature)) {
      if (user_.empty()) {
        return false;
      }
      if (signature.issuer_id == primary.id()) {
        of_primary(signature, {key_part(primary), user_});
      }
      return true; // What others say of a user ID changes nothing here.
    }
    if (signature.issuer_id != primary.id()) {
      return false;
    }
    if (signature.is(Signature::Type::direct_key)) {
      primary_.is_refused = primary_.is_refused || !allows(signature, primary, wanted_ == 0);
      return at_ == 0 && user_.empty();
    }
    if (signature.is(Signature::Type::subkey_binding) && at_ > 0) {
      if (at_ == wanted_) {
        of_subkey(signature);
      }
      return true;
    }
    return false; // Revocations, by whomever they are, and what is unknown.
  }

  /// Nothing in `claim` is against it.
  [[nodiscard]] bool allows(const Signature& claim, const PublicKey& key, bool to_sign) const {
    return keeps_valid(claim, key, now_) && (!to_sign || !claim.key_flags || says_may_sign(claim));
  }

  void of_primary(const Signature& claim, std::initializer_list<std::string_view> parts) {
    const PublicKey& primary = keys_.front();
    const bool to_sign = wanted_ == 0;
    primary_.is_refused = primary_.is_refused || !allows(claim, primary, to_sign);
    primary_.is_vouched_for = primary_.is_vouched_for || ((!to_sign || says_may_sign(claim)) &&
                                                          openpgp::holds(claim, primary, parts));
  }

  void of_subkey(const Signature& claim) {
    const PublicKey& primary = keys_.front();
    const PublicKey& subkey = keys_[at_];
    subkey_.is_refused = subkey_.is_refused || !allows(claim, subkey, true);
    subkey_.is_vouched_for =
        subkey_.is_vouched_for ||
        (says_may_sign(claim) &&
         openpgp::holds(claim, primary, {key_part(primary), key_part(subkey)}) &&
         is_bound_back(claim, primary, subkey, now_));
  }

  const std::vector<PublicKey>& keys_;
  std::size_t wanted_;
  std::int64_t now_;
  std::size_t at_ = 0;
  std::string user_{};
  Claims primary_{};
  Claims subkey_{};
};

/// A message whose signed text needs no interpretation: what stands there is what was signed, but
/// for the line ends.
struct PlainMessage {
  std::string text;           ///< as librnp gives it back: with the end of its last line
  std::string canonical_text; ///< 7: lines end with CR LF, the last one's end is not signed
  std::string signature;      ///< the armoured block and what follows it
};

/// Lines that are signed as they stand: nothing is escaped, no white space at an end is left out of
/// what is signed, nothing but text.
bool is_plain_line(std::string_view line) noexcept {
  const auto is_control = [](char c) { return c >= 0 && c < ' ' && c != '\t'; };
  return !line.starts_with('-') && !line.ends_with(' ') && !line.ends_with('\t') &&
         std::none_of(line.begin(), line.end(), is_control);
}

std::optional<std::string> canonical(std::string_view text) {
  std::string result;
  result.reserve(text.size() + text.size() / 32);
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const auto line = text.substr(begin, end - begin);
    if (!is_plain_line(line)) {
      return std::nullopt;
    }
    result += line;
    if (end == text.size()) {
      return result;
    }
    result += "\r\n";
    begin = end + 1;
  }
}

std::optional<PlainMessage> read_message(std::string_view message) {
  constexpr std::string_view head_line = "-----BEGIN PGP SIGNED MESSAGE-----\n";
  constexpr std::string_view hash_line = "Hash: ";
  constexpr std::string_view begin_signature = "\n-----BEGIN PGP SIGNATURE-----\n";
  const std::size_t end = message.find(begin_signature);
  if (!message.starts_with(head_line) || end == std::string_view::npos) {
    return std::nullopt;
  }
  auto text = message.substr(head_line.size(), end - std::min(end, head_line.size()));
  while (text.starts_with(hash_line) && text.find('\n') != std::string_view::npos) {
    text.remove_prefix(text.find('\n') + 1);
  }
  if (!text.starts_with('\n')) {
    return std::nullopt;
  }
  text.remove_prefix(1);
  auto canonical_text = canonical(text);
  if (!canonical_text) {
    return std::nullopt;
  }
  return PlainMessage{.text = std::string(text) + "\n",
                      .canonical_text = std::move(*canonical_text),
                      .signature = std::string(message.substr(end + 1))};
}

} // namespace

PlainKeyring::PlainKeyring(std::vector<std::string> files) : files_(std::move(files)) {
  for (const std::string& file : files_) {
    is_plain_ = is_plain_ && add(file);
  }
}

bool PlainKeyring::add(std::string_view bytes) {
  const auto packets = openpgp::read_packets(bytes);
  if (!packets) {
    return false;
  }
  const std::size_t certificates_before = certificates_.size();
  for (const Packet& packet : *packets) {
    if (packet.is(Tag::public_key)) {
      certificates_.emplace_back();
    } else if (certificates_.size() == certificates_before) {
      return false; // What stands in front of the first key belongs to none.
    } else {
      certificates_.back().packets.push_back(packet);
    }
    if (packet.is(Tag::public_key) || packet.is(Tag::public_subkey)) {
      auto key = PublicKey::read(packet.body);
      if (!key) {
        return false;
      }
      certificates_.back().keys.push_back(std::move(*key));
    }
  }
  return true;
}

std::vector<PlainKeyring::KeyPlace> PlainKeyring::places_of(std::string_view id) const {
  std::vector<KeyPlace> places;
  for (std::size_t i = 0; i < certificates_.size(); ++i) {
    for (std::size_t j = 0; j < certificates_[i].keys.size(); ++j) {
      if (certificates_[i].keys[j].id() == id) {
        places.push_back({i, j});
      }
    }
  }
  return places;
}

bool PlainKeyring::vouches(KeyPlace place, std::int64_t now) const {
  const auto& [packets, keys] = certificates_[place.certificate];
  if (places_of(keys.front().id()).size() != 1 || keys.front().created > now ||
      keys[place.key].created > now) {
    return false;
  }
  Walk walk(keys, place.key, now);
  return std::all_of(packets.begin(), packets.end(),
                     [&](const Packet& packet) { return walk.take(packet); }) &&
         walk.vouches();
}

std::optional<SignedText> PlainKeyring::verify(std::string_view message, std::int64_t now) const {
  auto plain = is_plain_ ? read_message(message) : std::nullopt;
  const auto armored = plain ? openpgp::read_armor(plain->signature, "SIGNATURE") : std::nullopt;
  const auto packets = armored ? openpgp::read_packets(*armored) : std::nullopt;
  if (!packets || packets->size() > openpgp::max_message_signatures) {
    return std::nullopt;
  }
  SignedText result;
  for (const Packet& packet : *packets) {
    const auto signature = packet.is(Tag::signature) ? Signature::read(packet.body) : std::nullopt;
    if (!signature || !signature->is(Signature::Type::text)) {
      return std::nullopt;
    }
    const auto places = places_of(signature->issuer_id);
    if (places.empty()) {
      continue; // by a key that the keyring does not know
    }
    const PublicKey& key = certificates_[places.front().certificate].keys[places.front().key];
    if (places.size() != 1 || !is_current(*signature, now) || signature->created < key.created ||
        !openpgp::holds(*signature, key, {plain->canonical_text}) ||
        !vouches(places.front(), now)) {
      return std::nullopt;
    }
    result.signed_by.push_back(key.fingerprint_text());
  }
  if (result.signed_by.empty()) {
    return std::nullopt;
  }
  std::sort(result.signed_by.begin(), result.signed_by.end());
  result.text = std::move(plain->text);
  return result;
}

} // namespace aipack::deb
