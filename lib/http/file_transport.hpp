#pragma once

#include "aipack/http/http.hpp"

namespace aipack::http {

/// Answers GET and HEAD of a `file://` URL as a web server would: 200, 304, 403, 404, 405.
Response perform_file(const Request& request, const Operation& op);

} // namespace aipack::http
