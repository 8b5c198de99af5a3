#pragma once

#include "json_cursor.hpp"
#include "tensor.hpp"

#include <string>

namespace aipack::serve {

/// Reads the JSON array "data" of `tensor`, whose name, element type and shape are set, into its
/// buffer or strings. The array is flat, or nested exactly as the shape says. Throws RequestError
/// that names the input and the element: wrong number of elements, a number out of range of the
/// type, a fraction where an integer is wanted, a value that is no number, ragged nesting.
///
/// Floating types also take NaN, Infinity and -Infinity, bare or as strings; integers may be
/// written 3.0 or 3e0; BOOL takes true, false, 1 and 0. *Memory*: never more elements than the text
/// has bytes (`text_bytes`).
void read_json_data(JsonCursor& cursor, Tensor& tensor, std::size_t text_bytes);

/// Appends the elements as one flat JSON array. Floats in the shortest form that reads back to the
/// same value, always with a point or an exponent; NaN and infinities as the strings "NaN",
/// "Infinity", "-Infinity" (what the JSON mapping of protocol buffers does). Throws RequestError
/// for a string that is not UTF-8: such a tensor has to be asked for in binary form.
void append_json_data(std::string& out, const Tensor& tensor);

} // namespace aipack::serve
