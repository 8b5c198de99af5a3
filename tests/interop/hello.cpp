// The program inside the interop images: it stands alone (linked statically) and says what a
// container sees.
#include <cstdio>

#include <unistd.h>

int main() {
  std::FILE* weights = std::fopen("/models/weights.bin", "rb");
  if (weights == nullptr) {
    std::perror("cannot open /models/weights.bin");
    return 1;
  }
  unsigned long size = 0;
  unsigned long sum = 0;
  for (int byte = std::fgetc(weights); byte != EOF; byte = std::fgetc(weights)) {
    ++size;
    sum = (sum * 31 + static_cast<unsigned long>(byte)) % 1000003;
  }
  std::fclose(weights);
  std::printf("uid=%u size=%lu sum=%lu\n", static_cast<unsigned>(getuid()), size, sum);
  return 0;
}
