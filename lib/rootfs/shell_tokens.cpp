#include "shell_tokens.hpp"

#include <optional>
#include <utility>

namespace aipack::rootfs {
namespace {

class Tokenizer {
public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  ShellTokens run() {
    while (at_ < text_.size() && result_.trouble.empty()) {
      step();
    }
    end_word();
    return std::move(result_);
  }

private:
  [[nodiscard]] bool sees(std::string_view what) const {
    return text_.substr(at_).starts_with(what);
  }

  void step() {
    const char c = text_[at_];
    if (c == '\\') {
      escape();
    } else if (c == '\'') {
      single_quotes();
    } else if (c == '"') {
      double_quotes();
    } else if (c == '$' || c == '`') {
      dollar();
    } else if (c == '#' && !in_word_) {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (c == ' ' || c == '\t') {
      end_word();
      ++at_;
    } else if (c == '<' || c == '>') {
      redirection();
    } else if (c == '\n' || c == ';' || c == '&' || c == '|' || c == '(' || c == ')') {
      separator();
    } else {
      push(c);
      ++at_;
    }
  }

  void push(char c) {
    word_.text.push_back(c);
    in_word_ = true;
  }

  void end_word() {
    if (!in_word_) {
      return;
    }
    if (here_document_) {
      pending_documents_.push_back({word_.text, *here_document_});
      here_document_.reset();
    } else {
      result_.tokens.push_back(std::move(word_));
    }
    word_ = {};
    in_word_ = false;
  }

  void escape() {
    if (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') {
      push(text_[at_ + 1]);
      word_.quoted = true;
    }
    at_ += 2;
  }

  void single_quotes() {
    const std::size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) {
      result_.trouble = "a quote that does not end";
      return;
    }
    word_.text += text_.substr(at_ + 1, end - at_ - 1);
    word_.quoted = true;
    in_word_ = true;
    at_ = end + 1;
  }

  void double_quotes() {
    word_.quoted = true;
    in_word_ = true;
    for (++at_; at_ < text_.size() && text_[at_] != '"';) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        if (text_[at_ + 1] != '\n') {
          push(text_[at_ + 1]);
        }
        at_ += 2;
      } else if (text_[at_] == '$' || text_[at_] == '`') {
        dollar();
        if (!result_.trouble.empty()) {
          return;
        }
      } else {
        push(text_[at_++]);
      }
    }
    if (at_ >= text_.size()) {
      result_.trouble = "a quote that does not end";
    }
    ++at_;
  }

  /// "$(…)" and "`…`" are kept aside; "$((…))", "${…}" and "$x" stay as text.
  void dollar() {
    if (text_[at_] == '`') {
      const std::size_t end = text_.find('`', at_ + 1);
      if (end == std::string_view::npos) {
        result_.trouble = "a '`' that does not end";
        return;
      }
      word_.inner.emplace_back(text_.substr(at_ + 1, end - at_ - 1));
      word_.text += "$()";
      in_word_ = true;
      at_ = end + 1;
    } else if (sees("$(")) {
      const std::size_t end = matching(at_ + 1, '(', ')');
      if (end == std::string_view::npos) {
        result_.trouble = "a '$(' that does not end";
        return;
      }
      if (!sees("$((")) {
        word_.inner.emplace_back(text_.substr(at_ + 2, end - at_ - 2));
      } else if (const auto nested = text_.substr(at_ + 3, end - at_ - 3);
                 nested.find("$(") != std::string_view::npos) {
        const std::size_t open = nested.find("$(");
        const std::size_t close = nested.rfind(')', nested.size() - 2);
        word_.inner.emplace_back(nested.substr(
            open + 2, close == std::string_view::npos || close < open ? 0 : close - open - 2));
      }
      word_.text += "$()";
      in_word_ = true;
      at_ = end + 1;
    } else if (sees("${")) {
      const std::size_t end = matching(at_ + 1, '{', '}');
      if (end == std::string_view::npos) {
        result_.trouble = "a '${' that does not end";
        return;
      }
      word_.text += text_.substr(at_, end + 1 - at_);
      in_word_ = true;
      at_ = end + 1;
    } else {
      push(text_[at_++]);
    }
  }

  /// Position of the bracket that closes the one at `open`, quotes respected.
  [[nodiscard]] std::size_t matching(std::size_t open, char opening, char closing) const {
    int depth = 0;
    char quote = 0;
    for (std::size_t i = open; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\\') {
        ++i;
      } else if (quote != 0) {
        if (c == quote) {
          quote = 0;
        }
      } else if (c == '\'' || (c == '"' && opening == '(')) {
        quote = c;
      } else if (c == opening) {
        ++depth;
      } else if (c == closing && --depth == 0) {
        return i;
      }
    }
    return std::string_view::npos;
  }

  void redirection() {
    // A number right before it is a descriptor, not a word.
    if (in_word_ && !word_.quoted &&
        word_.text.find_first_not_of("0123456789") == std::string::npos) {
      word_ = {};
      in_word_ = false;
    }
    end_word();
    if (sees("<<")) {
      at_ += 2;
      const bool strip = at_ < text_.size() && text_[at_] == '-';
      at_ += strip ? 1 : 0;
      here_document_ = strip;
      return;
    }
    for (const std::string_view form : {">>", ">&", "<&", ">|", "<>", ">", "<"}) {
      if (sees(form)) {
        result_.tokens.push_back({ShellToken::Kind::redirection, std::string(form), false, {}});
        at_ += form.size();
        return;
      }
    }
  }

  void separator() {
    end_word();
    for (const std::string_view form : {";;", "&&", "||", "\n", ";", "&", "|", "(", ")"}) {
      if (!sees(form)) {
        continue;
      }
      result_.tokens.push_back({ShellToken::Kind::separator, std::string(form), false, {}});
      at_ += form.size();
      if (form == "\n") {
        skip_documents();
      }
      return;
    }
  }

  void skip_documents() {
    for (const auto& [delimiter, strip] : std::exchange(pending_documents_, {})) {
      while (true) {
        if (at_ >= text_.size()) {
          result_.trouble = "a here-document that does not end";
          return;
        }
        const std::size_t end = std::min(text_.find('\n', at_), text_.size());
        std::string_view line = text_.substr(at_, end - at_);
        at_ = std::min(end + 1, text_.size());
        while (strip && line.starts_with('\t')) {
          line.remove_prefix(1);
        }
        if (line == delimiter) {
          break;
        }
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  ShellTokens result_;
  ShellToken word_;
  bool in_word_ = false;
  std::optional<bool> here_document_;
  std::vector<std::pair<std::string, bool>> pending_documents_;
};

} // namespace

ShellTokens tokenize_shell(std::string_view text) {
  return Tokenizer(text).run();
}

} // namespace aipack::rootfs
