#pragma once

#include <rnp/rnp.h>

namespace aipack::deb {

/// librnp's functions, as far as they are used. The library is opened when it is first needed, and
/// stays: with Botan it brings 10,000 symbols to look up, a third of what starting aipack costs,
/// and verbs that ask no package archive need none of it.
///
///     librnp().ffi_create(&ffi, "GPG", "GPG")
struct Librnp {
  Librnp(); ///< throws Error{not_found} when it is not installed

private:
  /// The address of a function, as whatever it is assigned to.
  struct Symbol {
    void* address;
    template <class Function>
    operator Function*() const noexcept { // NOLINT(google-explicit-constructor)
      return reinterpret_cast<Function*>(address);
    }
  };
  [[nodiscard]] Symbol symbol(const char* name) const;
  void* library_;

public:
  decltype(&rnp_buffer_destroy) buffer_destroy = symbol("rnp_buffer_destroy");
  decltype(&rnp_ffi_create) ffi_create = symbol("rnp_ffi_create");
  decltype(&rnp_ffi_destroy) ffi_destroy = symbol("rnp_ffi_destroy");
  decltype(&rnp_ffi_set_log_fd) ffi_set_log_fd = symbol("rnp_ffi_set_log_fd");
  decltype(&rnp_import_keys) import_keys = symbol("rnp_import_keys");
  decltype(&rnp_input_destroy) input_destroy = symbol("rnp_input_destroy");
  decltype(&rnp_input_from_memory) input_from_memory = symbol("rnp_input_from_memory");
  decltype(&rnp_key_get_fprint) key_get_fprint = symbol("rnp_key_get_fprint");
  decltype(&rnp_key_get_primary_fprint) key_get_primary_fprint =
      symbol("rnp_key_get_primary_fprint");
  decltype(&rnp_key_handle_destroy) key_handle_destroy = symbol("rnp_key_handle_destroy");
  decltype(&rnp_key_is_revoked) key_is_revoked = symbol("rnp_key_is_revoked");
  decltype(&rnp_key_is_sub) key_is_sub = symbol("rnp_key_is_sub");
  decltype(&rnp_key_valid_till) key_valid_till = symbol("rnp_key_valid_till");
  decltype(&rnp_locate_key) locate_key = symbol("rnp_locate_key");
  decltype(&rnp_op_verify_create) op_verify_create = symbol("rnp_op_verify_create");
  decltype(&rnp_op_verify_destroy) op_verify_destroy = symbol("rnp_op_verify_destroy");
  decltype(&rnp_op_verify_execute) op_verify_execute = symbol("rnp_op_verify_execute");
  decltype(&rnp_op_verify_get_signature_at) op_verify_get_signature_at =
      symbol("rnp_op_verify_get_signature_at");
  decltype(&rnp_op_verify_get_signature_count) op_verify_get_signature_count =
      symbol("rnp_op_verify_get_signature_count");
  decltype(&rnp_op_verify_signature_get_handle) op_verify_signature_get_handle =
      symbol("rnp_op_verify_signature_get_handle");
  decltype(&rnp_op_verify_signature_get_hash) op_verify_signature_get_hash =
      symbol("rnp_op_verify_signature_get_hash");
  decltype(&rnp_op_verify_signature_get_key) op_verify_signature_get_key =
      symbol("rnp_op_verify_signature_get_key");
  decltype(&rnp_op_verify_signature_get_status) op_verify_signature_get_status =
      symbol("rnp_op_verify_signature_get_status");
  decltype(&rnp_op_verify_signature_get_times) op_verify_signature_get_times =
      symbol("rnp_op_verify_signature_get_times");
  decltype(&rnp_output_destroy) output_destroy = symbol("rnp_output_destroy");
  decltype(&rnp_output_memory_get_buf) output_memory_get_buf = symbol("rnp_output_memory_get_buf");
  decltype(&rnp_output_to_memory) output_to_memory = symbol("rnp_output_to_memory");
  decltype(&rnp_result_to_string) result_to_string = symbol("rnp_result_to_string");
  decltype(&rnp_set_timestamp) set_timestamp = symbol("rnp_set_timestamp");
  decltype(&rnp_signature_get_keyid) signature_get_keyid = symbol("rnp_signature_get_keyid");
  decltype(&rnp_signature_handle_destroy) signature_handle_destroy =
      symbol("rnp_signature_handle_destroy");
};

/// Threads: any.
[[nodiscard]] const Librnp& librnp();

} // namespace aipack::deb
