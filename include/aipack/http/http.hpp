#pragma once

/// Requests that end: everything of the component.
#include "aipack/http/message.hpp"   // IWYU pragma: export
#include "aipack/http/retry.hpp"     // IWYU pragma: export
#include "aipack/http/transport.hpp" // IWYU pragma: export
#include "aipack/http/url.hpp"       // IWYU pragma: export
