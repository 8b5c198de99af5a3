#pragma once

/// Everything that a program which builds images needs; components have headers of their own.
#include "aipack/build/engine.hpp"        // IWYU pragma: export
#include "aipack/build/settings.hpp"      // IWYU pragma: export
#include "aipack/core/error.hpp"          // IWYU pragma: export
#include "aipack/core/version.hpp"        // IWYU pragma: export
#include "aipack/image/reader.hpp"        // IWYU pragma: export
#include "aipack/registry/registry.hpp"   // IWYU pragma: export
#include "aipack/sbom/sbom.hpp"           // IWYU pragma: export
#include "aipack/transfer/copy.hpp"       // IWYU pragma: export
#include "aipack/transfer/load.hpp"       // IWYU pragma: export
#include "aipack/transfer/open_image.hpp" // IWYU pragma: export
#include "aipack/trust/images.hpp"        // IWYU pragma: export
#include "aipack/trust/signing.hpp"       // IWYU pragma: export
#include "aipack/trust/verification.hpp"  // IWYU pragma: export
