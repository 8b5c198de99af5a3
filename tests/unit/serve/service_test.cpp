#include "service.hpp"
#include "support/catch.hpp"

#include <new>

#include <nlohmann/json.hpp>

using namespace aipack::serve;

namespace {

/// x -> y unchanged, without a runtime: what the service does around a model is looked at here.
class Echo final : public Model {
public:
  Echo() {
    signature_.name = "echo";
    signature_.inputs = {{.name = "x",
                          .element_type = ElementType::int32,
                          .dimensions = {{-1, ""}},
                          .type_text = "tensor(int32)"}};
    signature_.outputs = {{.name = "y",
                           .element_type = ElementType::int32,
                           .dimensions = {{-1, ""}},
                           .type_text = "tensor(int32)"}};
  }
  const ModelSignature& signature() const noexcept override { return signature_; }
  std::vector<Tensor> run(std::span<const Tensor> inputs,
                          std::span<const RequestedOutput>) override {
    if (during) {
      during();
    }
    Tensor out = inputs[0];
    out.name = "y";
    return {out};
  }
  void interrupt() noexcept override { ++interrupts; }

  std::function<void()> during;
  int interrupts = 0;

private:
  ModelSignature signature_;
};

struct Fixture {
  Fixture() {
    auto model = std::make_unique<Echo>();
    echo = model.get();
    repository.emplace("echo", std::move(model));
  }

  Response get(std::string path, std::string method = "GET") {
    return service.answer({.method = std::move(method), .path = std::move(path)},
                          [] { return std::string(); });
  }
  Response infer(const std::string& body, std::optional<std::string> header_length = std::nullopt) {
    return service.answer({.method = "POST",
                           .path = "/v2/models/echo/infer",
                           .inference_header_length = std::move(header_length)},
                          [&] {
                            body_was_read = true;
                            return body;
                          });
  }

  Metrics metrics;
  Logger log{LogFormat::json, LogLevel::off};
  Repository repository;
  Echo* echo = nullptr;
  bool body_was_read = false;
  Service service{{.max_concurrency = 1}, {"1.0.0", "1.21.0", "/lib"}, metrics, log};
};

const std::string request =
    R"({"inputs":[{"name":"x","datatype":"INT32","shape":[2],"data":[3,4]}]})";

} // namespace

TEST_CASE_METHOD(Fixture, "before the models are there the service is live and not ready",
                 "[serve][service]") {
  CHECK(get("/v2/health/live").status == 200);
  CHECK(get("/v2/health/ready").status == 503);
  CHECK(get("/v2/models").status == 503);
  CHECK(infer(request).status == 503);
  CHECK_FALSE(body_was_read);
  service.publish(repository);
  CHECK(get("/v2/health/ready").status == 200);
  service.drain();
  CHECK(get("/v2/health/ready").status == 503);
  CHECK(get("/v2/models/echo/ready").status == 503);
  CHECK(get("/v2/health/live").status == 200);
  CHECK(infer(request).status == 200); // what was accepted is answered
}

TEST_CASE_METHOD(Fixture, "an inference through the service", "[serve][service]") {
  service.publish(repository);
  const Response response = infer(request);
  CHECK(response.status == 200);
  CHECK(nlohmann::json::parse(response.body)["outputs"][0]["data"] == std::vector{3, 4});
  CHECK(infer(request, std::to_string(request.size())).status == 200);
  CHECK(infer(request, std::to_string(request.size() + 1)).status == 400);
  CHECK(infer(request, "-5").status == 400);
}

TEST_CASE_METHOD(Fixture, "a request beyond the limit is refused before its body is read",
                 "[serve][service]") {
  service.publish(repository);
  Response inner;
  echo->during = [&] {
    body_was_read = false;
    CHECK(service.in_flight() == 1);
    inner = infer(request);
  };
  CHECK(infer(request).status == 200);
  CHECK(inner.status == 503);
  CHECK_FALSE(body_was_read);
  REQUIRE(inner.headers.size() == 1);
  CHECK(inner.headers[0] == std::pair<std::string, std::string>("Retry-After", "1"));
  CHECK(service.in_flight() == 0);
  echo->during = nullptr;
  CHECK(infer(request).status == 200);
}

TEST_CASE_METHOD(Fixture, "whatever goes wrong becomes an answer", "[serve][service]") {
  service.publish(repository);
  echo->during = [] { throw std::bad_alloc(); };
  CHECK(infer(request).status == 503);
  echo->during = [] { throw std::runtime_error("broken"); };
  Response response = infer(request);
  CHECK(response.status == 500);
  CHECK_THAT(response.body, ContainsSubstring("broken"));
  echo->during = [] { throw RequestError(Status::bad_request, "cannot \xFF"); };
  CHECK(nlohmann::json::accept(infer(request).body));
  CHECK(service.in_flight() == 0);
}

TEST_CASE_METHOD(Fixture, "wrong routes and methods", "[serve][service]") {
  service.publish(repository);
  CHECK(get("/nowhere").status == 404);
  CHECK(get("/v2/models/other").status == 404);
  CHECK(get("/v2/models/echo/versions/2").status == 404);
  const Response response = get("/v2", "PUT");
  CHECK(response.status == 405);
  CHECK(response.headers.at(0).first == "Allow");
  service.interrupt();
  CHECK(echo->interrupts == 1);
}
