#pragma once

#include "aipack/sign/key.hpp"

#include "../../support/temp.hpp"
#include "../../support/test_data.hpp"

#include <filesystem>
#include <string>

namespace aipack::testing {

inline std::string sign_data(const std::string& name) {
  return read_file(test::test_data() / "sign" / name);
}

/// A key of the kind that KeySpec calls `name`. RSA keys are kept: making one takes seconds.
inline sign::PrivateKey test_key(const std::string& name) {
  return name.starts_with("rsa") ? sign::PrivateKey::parse(sign_data(name + ".pem"), name)
                                 : sign::PrivateKey::generate(sign::KeySpec::parse(name));
}

} // namespace aipack::testing
