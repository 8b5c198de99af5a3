#include "aipack/trust/timestamp_client.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/byte_stream.hpp"
#include "aipack/sign/timestamp.hpp"

#include <utility>

#include <fmt/format.h>

namespace aipack::trust {

sign::TimestampAuthority timestamp_authority(std::string url,
                                             std::shared_ptr<http::HttpTransport> transport,
                                             const Operation& op) {
  return [url = std::move(url), transport = std::move(transport),
          &op](const sign::TimestampRequest& question) {
    http::Request request{.method = "POST",
                          .url = url,
                          .headers = {{"Content-Type", "application/timestamp-query"},
                                      {"Accept", "application/timestamp-reply"}},
                          .max_body_bytes = sign::max_timestamp_bytes};
    request.body = [&question] {
      return std::make_unique<io::MemorySource>(io::as_bytes(question.der));
    };
    request.body_bytes = question.der.size();
    const auto response = transport->perform(request, op);
    const auto name = redacted_url(url);
    if (response.status != 200) {
      throw Error(ErrorCode::unavailable, fmt::format("cannot get a time stamp from {}: it answers "
                                                      "with status {}",
                                                      quoted(name), response.status));
    }
    const auto type = response.header("Content-Type").value_or("");
    if (!type.starts_with("application/timestamp-reply")) {
      throw Error(ErrorCode::unavailable,
                  fmt::format("cannot get a time stamp from {}: it answers with {} instead of a "
                              "time stamp",
                              quoted(name), quoted(type)));
    }
    return response.body;
  };
}

} // namespace aipack::trust
