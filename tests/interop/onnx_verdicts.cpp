// Prints what aipack thinks of each model whose path is on a line of stdin:
// "PATH<TAB>VERDICT<TAB>CAUSE", VERDICT being
//   serve    the runtime can serve it
//   refuse   the runtime cannot, CAUSE says why
//   finding  the model has an error finding
//   error    the file could not be read
// Usage: onnx_verdicts CATALOG_DIRECTORY PLATFORM < paths. onnx_testdata_verdicts.py compares it
// with the real library.
#include "aipack/core/error.hpp"
#include "aipack/runtime/runtime.hpp"

#include <array>
#include <filesystem>
#include <iostream>
#include <string>

namespace {

std::string verdict(const aipack::runtime::RuntimeCatalog& catalog,
                    const aipack::oci::Platform& platform, const std::string& path) {
  try {
    const auto model = aipack::model::inspect(path, {});
    for (const auto& finding : model.findings) {
      if (finding.severity == aipack::model::Severity::error) {
        return "finding\t" + finding.rule + " " + finding.message;
      }
    }
    const auto reasons = catalog.reasons_against(catalog.runtimes().front(), model, platform);
    return reasons.empty() ? "serve\t" : "refuse\t" + reasons.front();
  } catch (const aipack::Error& error) {
    return "error\t" + error.message();
  }
}

} // namespace

int main(int argc, char* argv[]) {
  if (argc != 3) {
    std::cerr << "usage: onnx_verdicts CATALOG_DIRECTORY PLATFORM < paths\n";
    return 2;
  }
  try {
    const std::array directories{std::filesystem::path(argv[1])};
    const auto catalog = aipack::runtime::load_catalog(directories);
    const auto platform = aipack::oci::Platform::parse(argv[2]);
    for (std::string path; std::getline(std::cin, path);) {
      std::cout << path << '\t' << verdict(*catalog, platform, path) << '\n';
    }
  } catch (const aipack::Error& error) {
    std::cerr << "onnx_verdicts: " << error.message() << '\n';
    return 1;
  }
  return 0;
}
