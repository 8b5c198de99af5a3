// Builds an image of a model for three architectures: build_image MODEL LAYOUT
#include <cstdlib>
#include <ctime>
#include <iostream>

#include <aipack/aipack.hpp>

int main(int argc, char** argv) try {
  if (argc != 3) {
    return EXIT_FAILURE;
  }
  const aipack::build::Engine engine({.cache_dir = std::getenv("AIPACK_CACHE_DIR"),
                                      .data_dirs = {std::getenv("AIPACK_DATA_DIR")},
                                      .now = std::time(nullptr)});
  const auto plan =
      engine.plan({.models = {argv[1]}, .platforms = aipack::oci::Platform::all()}, {});
  const auto report =
      engine.build(plan, aipack::image::Location::parse(std::string("oci:") + argv[2]), {});
  std::cout << report.digest.to_string() << '\n';
} catch (const aipack::Error& error) {
  std::cerr << error.message() << '\n' << error.hint() << '\n';
  return EXIT_FAILURE;
}
