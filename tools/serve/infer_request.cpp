#include "infer_request.hpp"

#include "error.hpp"
#include "json_cursor.hpp"
#include "tensor_binary.hpp"
#include "tensor_json.hpp"
#include "text.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

namespace aipack::serve {
namespace {

using Kind = JsonCursor::Kind;

/// One element of "inputs" while its members arrive, in whatever order.
struct PendingInput {
  std::optional<std::string> name;
  std::optional<ElementType> element_type;
  std::optional<Shape> shape;
  std::optional<std::uint64_t> binary_size;
  std::optional<std::size_t>
      data_at;                ///< where "data" stands when it came before what is needed to read it
  std::optional<Tensor> read; ///< the tensor, when "data" could be read on the spot
  bool has_data = false;

  /// For messages before the name is known.
  [[nodiscard]] std::string label(std::size_t index) const {
    return name ? "input " + quote(*name) : "input " + std::to_string(index);
  }
};

class Parser {
public:
  Parser(const ModelSignature& signature, std::string_view json, std::string_view binary)
      : signature_(signature), json_(json), binary_(binary), cursor_(json) {}

  [[nodiscard]] InferRequest parse() {
    read_members();
    cursor_.finish();
    if (!inputs_seen_) {
      throw RequestError("cannot read the request: \"inputs\" is missing");
    }
    if (!binary_.empty()) {
      throw RequestError("cannot read the request: " + std::to_string(binary_.size()) +
                         " bytes of binary data belong to no input");
    }
    check_inputs(signature_.inputs, request_.inputs);
    choose_outputs();
    return std::move(request_);
  }

private:
  [[noreturn]] static void wrong(const std::string& what, std::string_view why) {
    throw RequestError("cannot read " + what + ": " + std::string(why));
  }

  /// Reads the members of an object and refuses a repeated key among those that `take` knows.
  template <class Take>
  void for_each_member(const std::string& what, Take take) {
    if (cursor_.peek() != Kind::object) {
      wrong(what, "it is not an object");
    }
    std::set<std::string> seen;
    std::string key;
    cursor_.begin_object();
    while (cursor_.next_member(key)) {
      if (!take(key)) {
        cursor_.skip_value();
      } else if (!seen.insert(key).second) {
        wrong(what, "\"" + key + "\" is there twice");
      }
    }
  }

  [[nodiscard]] std::string string_member(const std::string& what, std::string_view key) {
    if (cursor_.peek() != Kind::string) {
      wrong(what, "\"" + std::string(key) + "\" is not a string");
    }
    return cursor_.read_string();
  }

  [[nodiscard]] bool bool_member(const std::string& what, std::string_view key) {
    if (cursor_.peek() != Kind::boolean) {
      wrong(what, "\"" + std::string(key) + "\" is not true or false");
    }
    return cursor_.read_bool();
  }

  void read_members() {
    const std::string what = "the request";
    for_each_member(what, [&](const std::string& key) {
      if (key == "id") {
        request_.id = string_member(what, key);
        if (request_.id.size() > max_request_id_bytes) {
          wrong(what, "\"id\" is longer than " + std::to_string(max_request_id_bytes) + " bytes");
        }
      } else if (key == "model_name") {
        if (string_member(what, key) != signature_.name) {
          wrong(what, "\"model_name\" is not " + quote(signature_.name));
        }
      } else if (key == "parameters") {
        read_request_parameters();
      } else if (key == "inputs") {
        read_inputs();
      } else if (key == "outputs") {
        read_outputs();
      } else {
        return false;
      }
      return true;
    });
  }

  void read_request_parameters() {
    const std::string what = "the request's \"parameters\"";
    for_each_member(what, [&](const std::string& key) {
      if (key == "binary_data_output") {
        binary_by_default_ = bool_member(what, key);
        return true;
      }
      const Kind kind = cursor_.peek();
      if (kind != Kind::string && kind != Kind::number && kind != Kind::boolean) {
        wrong(what, quote(key) + " is neither a string nor a number nor a boolean");
      }
      const std::string_view value = cursor_.skip_value();
      if (kind == Kind::number && (value.back() == 'N' || value.back() == 'y')) {
        wrong(what, quote(key) + " is not a finite number");
      }
      if (!request_.parameters.empty()) {
        request_.parameters.push_back(',');
      }
      append_json_string(request_.parameters, key);
      request_.parameters.push_back(':');
      request_.parameters += value;
      if (request_.parameters.size() > max_parameters_bytes) {
        wrong(what, "they are larger than " + std::to_string(max_parameters_bytes) + " bytes");
      }
      return true;
    });
  }

  void read_inputs() {
    if (cursor_.peek() != Kind::array) {
      wrong("the request", "\"inputs\" is not an array");
    }
    inputs_seen_ = true;
    cursor_.begin_array();
    for (std::size_t index = 0; cursor_.next_element(); ++index) {
      request_.inputs.push_back(read_input(index));
    }
  }

  [[nodiscard]] Tensor read_input(std::size_t index) {
    PendingInput input;
    for_each_member("input " + std::to_string(index), [&](const std::string& key) {
      const std::string what = input.label(index);
      if (key == "name") {
        input.name = string_member(what, key);
      } else if (key == "datatype") {
        const std::string word = string_member(what, key);
        input.element_type = parse_datatype(word);
        if (!input.element_type) {
          wrong(what, "unknown datatype " + quote(word));
        }
      } else if (key == "shape") {
        input.shape = read_shape(what);
      } else if (key == "parameters") {
        read_input_parameters(what, input);
      } else if (key == "data") {
        input.has_data = true;
        if (input.name && input.element_type && input.shape) {
          input.read = start_tensor(input, index);
          read_json_data(cursor_, *input.read, json_.size());
        } else {
          static_cast<void>(cursor_.peek());
          input.data_at = cursor_.offset();
          cursor_.skip_value();
        }
      } else {
        return false;
      }
      return true;
    });
    return finish_input(input, index);
  }

  [[nodiscard]] Shape read_shape(const std::string& what) {
    if (cursor_.peek() != Kind::array) {
      wrong(what, "\"shape\" is not an array");
    }
    Shape shape;
    cursor_.begin_array();
    while (cursor_.next_element()) {
      if (shape.size() == max_rank) {
        wrong(what, "\"shape\" has more than " + std::to_string(max_rank) + " dimensions");
      }
      if (cursor_.peek() != Kind::number) {
        wrong(what, "\"shape\" holds something that is not a number");
      }
      const std::string_view text = cursor_.read_number();
      std::int64_t size = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
      if (error != std::errc{} || end != text.data() + text.size() || size < 0) {
        wrong(what, "dimension " + std::to_string(shape.size()) + " of \"shape\" is " +
                        quote(text) + ", not a size");
      }
      shape.push_back(size);
    }
    if (!element_count(shape)) {
      wrong(what, "shape " + to_string(shape) + " has too many elements");
    }
    return shape;
  }

  void read_input_parameters(const std::string& what, PendingInput& input) {
    for_each_member(what + "'s \"parameters\"", [&](const std::string& key) {
      if (key.starts_with("shared_memory_")) {
        wrong(what, "shared memory is not supported");
      }
      if (key != "binary_data_size") {
        return false;
      }
      std::string_view text;
      if (cursor_.peek() == Kind::number) {
        text = cursor_.read_number();
      }
      std::uint64_t size = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
      if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
        wrong(what, "\"binary_data_size\" is not a size in bytes");
      }
      input.binary_size = size;
      return true;
    });
  }

  /// Name, type and shape against the model. From here on the tensor only lacks its elements.
  [[nodiscard]] Tensor start_tensor(const PendingInput& input, std::size_t index) const {
    if (!input.name) {
      wrong(input.label(index), "\"name\" is missing");
    }
    const std::string what = input.label(index);
    const std::size_t at = find_value(signature_.inputs, *input.name);
    if (at == signature_.inputs.size()) {
      wrong(what, "the model has no such input, it takes " + input_names());
    }
    if (std::ranges::find(request_.inputs, *input.name, &Tensor::name) != request_.inputs.end()) {
      wrong(what, "it is there twice");
    }
    const ValueSpec& spec = signature_.inputs[at];
    if (!is_carriable_input(spec)) {
      wrong(what, "the model wants " + spec.type_text + ", which the protocol cannot carry");
    }
    if (!input.element_type) {
      wrong(what, "\"datatype\" is missing");
    }
    if (*input.element_type != spec.element_type) {
      wrong(what, "datatype is " + std::string(datatype_name(*input.element_type)) +
                      ", the model takes " + std::string(datatype_name(spec.element_type)));
    }
    if (!input.shape) {
      wrong(what, "\"shape\" is missing");
    }
    check_shape(spec, *input.shape);
    Tensor tensor;
    tensor.name = *input.name;
    tensor.element_type = *input.element_type;
    tensor.shape = *input.shape;
    return tensor;
  }

  [[nodiscard]] Tensor finish_input(PendingInput& input, std::size_t index) {
    if (input.has_data && input.binary_size) {
      wrong(input.label(index), "it has both \"data\" and \"binary_data_size\"");
    }
    if (input.read) {
      return std::move(*input.read);
    }
    Tensor tensor = start_tensor(input, index);
    if (input.data_at) {
      JsonCursor data(json_, *input.data_at);
      read_json_data(data, tensor, json_.size());
      return tensor;
    }
    if (!input.binary_size) {
      wrong(input.label(index), "it has neither \"data\" nor \"binary_data_size\"");
    }
    if (*input.binary_size > binary_.size()) {
      wrong(input.label(index), "\"binary_data_size\" is " + std::to_string(*input.binary_size) +
                                    ", but " + std::to_string(binary_.size()) +
                                    " bytes of binary data are left (is the "
                                    "Inference-Header-Content-Length header right?)");
    }
    const auto size = static_cast<std::size_t>(*input.binary_size);
    read_binary_data(binary_.substr(0, size), tensor);
    binary_.remove_prefix(size);
    return tensor;
  }

  void read_outputs() {
    if (cursor_.peek() != Kind::array) {
      wrong("the request", "\"outputs\" is not an array");
    }
    cursor_.begin_array();
    for (std::size_t index = 0; cursor_.next_element(); ++index) {
      read_output(index);
    }
  }

  void read_output(std::size_t index) {
    Wanted wanted;
    std::string what = "output " + std::to_string(index);
    for_each_member(what, [&](const std::string& key) {
      if (key == "name") {
        wanted.name = string_member(what, key);
        what = "output " + quote(wanted.name);
      } else if (key == "parameters") {
        for_each_member(what + "'s \"parameters\"", [&](const std::string& parameter) {
          if (parameter == "classification" || parameter.starts_with("shared_memory_")) {
            wrong(what, quote(parameter) + " is not supported");
          }
          if (parameter != "binary_data") {
            return false;
          }
          wanted.binary = bool_member(what, parameter);
          return true;
        });
      } else {
        return false;
      }
      return true;
    });
    const std::size_t at = find_value(signature_.outputs, wanted.name);
    if (at == signature_.outputs.size()) {
      wrong(what, "the model has no such output, it gives " + output_names());
    }
    const ValueSpec& spec = signature_.outputs[at];
    if (!is_carriable_output(spec)) {
      wrong(what, "the model gives " + spec.type_text + ", which the protocol cannot carry");
    }
    if (std::ranges::find(wanted_, wanted.name, &Wanted::name) != wanted_.end()) {
      wrong(what, "it is there twice");
    }
    wanted_.push_back(std::move(wanted));
  }

  /// Without "outputs" the client wants every output that the protocol can carry.
  void choose_outputs() {
    if (wanted_.empty()) {
      for (const ValueSpec& spec : signature_.outputs) {
        if (is_carriable_output(spec)) {
          wanted_.push_back({spec.name, std::nullopt});
        }
      }
    }
    if (wanted_.empty()) {
      throw RequestError("cannot run the model: it has no output that the protocol can carry");
    }
    for (Wanted& wanted : wanted_) {
      request_.outputs.push_back(
          {std::move(wanted.name), wanted.binary.value_or(binary_by_default_)});
    }
  }

  [[nodiscard]] static std::string names_of(const std::vector<ValueSpec>& specs) {
    constexpr std::size_t most = 10;
    std::string out;
    for (std::size_t i = 0; i < specs.size() && i < most; ++i) {
      out += (i == 0 ? "" : ", ") + quote(specs[i].name);
    }
    return specs.size() > most ? out + ", ..." : out;
  }
  [[nodiscard]] std::string input_names() const { return names_of(signature_.inputs); }
  [[nodiscard]] std::string output_names() const { return names_of(signature_.outputs); }

  struct Wanted {
    std::string name;
    std::optional<bool> binary;
  };

  const ModelSignature& signature_;
  std::string_view json_;
  std::string_view binary_; ///< what no input has taken yet
  JsonCursor cursor_;
  InferRequest request_;
  std::vector<Wanted> wanted_;
  bool inputs_seen_ = false;
  bool binary_by_default_ = false;
};

} // namespace

InferRequest parse_infer_request(const ModelSignature& signature, std::string_view json,
                                 std::string_view binary) {
  return Parser(signature, json, binary).parse();
}

} // namespace aipack::serve
