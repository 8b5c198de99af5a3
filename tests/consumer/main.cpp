// A program that knows aipack only by its installed headers and library.
#include <iostream>

#include <aipack/aipack.hpp>

int main() {
  const auto platform = aipack::oci::Platform::parse("aarch64");
  const auto location = aipack::image::Location::parse("oci:./model.oci:1");
  std::cout << aipack::version() << ' ' << platform.to_string() << ' ' << location.tag << '\n';
  try {
    static_cast<void>(aipack::fs::RootPath::parse("../x"));
  } catch (const aipack::Error& error) {
    return error.code() == aipack::ErrorCode::invalid_input ? 0 : 1;
  }
  return 1;
}
