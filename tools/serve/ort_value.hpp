#pragma once

#include "ort_library.hpp"
#include "signature.hpp"
#include "tensor.hpp"

namespace aipack::serve {

/// What the runtime says about the type of an input or output.
[[nodiscard]] ValueSpec read_value_spec(const OrtLibrary& ort, std::string name,
                                        const OrtTypeInfo& type);

/// A value for the runtime over the tensor's own memory (strings are copied). *Ownership*: `tensor`
/// outlives the value and what is computed from it, because an output may be an input that was
/// passed through.
[[nodiscard]] OrtPtr<OrtValue> make_value(const OrtLibrary& ort, const Tensor& tensor);

/// The tensor that the protocol carries for an output: the runtime's memory itself for a tensor; a
/// new one for sequences and maps (see ValueKind). Throws RequestError (400) when this value has no
/// such form: sequence elements of unequal shape, maps with unequal keys, an optional without
/// value.
[[nodiscard]] Tensor read_output(const OrtLibrary& ort, const ValueSpec& spec,
                                 OrtPtr<OrtValue> value);

} // namespace aipack::serve
