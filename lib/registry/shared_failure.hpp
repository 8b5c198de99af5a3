#pragma once

#include "aipack/registry/error.hpp"

#include <exception>

namespace aipack::registry {

/// Whether it says that somebody asked to stop.
[[nodiscard]] inline bool is_cancellation(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() == ErrorCode::cancelled;
  } catch (...) {
    return false;
  }
}

/// For a failure that several threads get: everybody a copy, since callers add context to what they
/// catch, each on its own thread.
[[noreturn]] inline void rethrow_copy(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const RegistryError& error) {
    throw RegistryError(error);
  } catch (const FormatError& error) {
    throw FormatError(error);
  } catch (const Error& error) {
    throw Error(error);
  }
}

} // namespace aipack::registry
