// Builds an image of a model for three architectures: build_image MODEL LAYOUT CACHE DATA
#include <ctime>
#include <iostream>

#include <aipack/aipack.hpp>

int main(int argc, char** argv) try {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const aipack::build::Engine engine(
      {.cache_dir = arguments.at(2), .data_dirs = {arguments.at(3)}, .now = std::time(nullptr)});
  const auto plan = engine.plan(
      {.models = {arguments.at(0)}, .platforms = aipack::oci::Platform::all()}, {});
  const auto layout = aipack::image::Location::parse("oci:" + arguments.at(1));
  std::cout << engine.build(plan, layout, {}).digest.to_string() << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
