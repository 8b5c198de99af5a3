#pragma once

#include "aipack/core/error.hpp"

namespace aipack::testing {

/// The error that `fn` ends with.
template <class Fn>
Error failure_of(Fn fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::internal, "nothing was thrown"};
}

} // namespace aipack::testing
