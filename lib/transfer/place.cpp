#include "aipack/transfer/place.hpp"

namespace aipack::transfer {

registry::DownloadReport Origin::place(const oci::Descriptor& descriptor,
                                       blob::DirectoryStore& store, const Operation& op) {
  if (store.contains(descriptor)) {
    return {.present = true};
  }
  store.place(*blob(descriptor, op), op);
  return {.received_bytes = descriptor.size_bytes};
}

} // namespace aipack::transfer
