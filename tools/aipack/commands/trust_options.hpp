#pragma once

#include "aipack/sign/verify.hpp"

#include "session.hpp"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace aipack::cli {

/// Whom to trust and what must hold, as `verify` has it.
struct TrustOptions {
  std::vector<std::string> keys;
  unsigned threshold = 1;
  std::vector<std::string> identities, identity_patterns;
  std::string issuer, trusted_root;
  std::vector<std::string> notation_certificates, notation_subjects;
  std::vector<std::string> annotations, attestations, ignored_formats;
  std::string match = "ignore";

  void add_to(CLI::App& command);
  /// `now` judges certificates without a trusted time stamp.
  [[nodiscard]] sign::Policy policy(std::int64_t now) const;
};

/// Public keys of the files, at least one of which must have signed. Empty for no files.
[[nodiscard]] std::vector<sign::PublicKey> read_public_keys(const std::vector<std::string>& files);

} // namespace aipack::cli
