// image_read LOCATION PATH: prints one file of the host's image. Exit code 3: there is none.
#include "aipack/core/error.hpp"
#include "aipack/image/reader.hpp"

#include <cstdio>

int main(int argc, char* argv[]) {
  using namespace aipack;
  if (argc != 3) {
    std::fputs("usage: image_read LOCATION PATH\n", stderr);
    return 2;
  }
  try {
    const auto source = image::ImageSource::open(image::Location::parse(argv[1]), Operation{});
    const auto content =
        image::find_file(source.image(), fs::RootPath::parse(argv[2]), Operation{});
    if (!content) {
      return 3;
    }
    std::fwrite(content->data(), 1, content->size(), stdout);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "image_read: error: %s\n", error.what());
    return 1;
  }
}
