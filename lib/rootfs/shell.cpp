#include "shell.hpp"

#include "shell_tokens.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace aipack::rootfs {
namespace {

using Kind = ShellToken::Kind;

/// What `$1` is when the script runs for the first time in an empty root.
std::string_view first_argument(std::string_view kind) {
  return kind == "preinst" ? "install" : "configure";
}

/// Actions of Debian Policy 6.5 that a maintainer script may be called with.
constexpr std::array<std::string_view, 14> actions{
    "install",        "upgrade",       "configure",    "triggered",         "remove",
    "purge",          "abort-upgrade", "abort-remove", "abort-deconfigure", "abort-install",
    "failed-upgrade", "disappear",     "deconfigure",  "reconfigure"};

bool is_action(std::string_view word) {
  return std::find(actions.begin(), actions.end(), word) != actions.end();
}

bool is_parameter(std::string_view word, char number) {
  return word == std::string("$") + number || word == std::string("${") + number + "}" ||
         word == std::string("${") + number + ":-}" || word == std::string("x$") + number;
}

/// `shift` and `set -- …` make "$1" another word than the one that the script was called with.
bool changes_parameters(const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "shift") {
    return !words.empty();
  }
  for (std::size_t i = 1; words[0] == "set" && i < words.size(); ++i) {
    const bool is_option = words[i].size() > 1 && (words[i][0] == '-' || words[i][0] == '+');
    if (!is_option || words[i] == "--") {
      return true;
    }
    i += words[i].back() == 'o' ? 1U : 0U; // "-o errexit", "-eo pipefail"
  }
  return false;
}

/// Whether a condition is false for sure on a first installation: `[ "$1" = upgrade ]`, `[ -n "$2"
/// ]`, `dpkg --compare-versions "$2" lt-nl 1`,
/// `[ -d /run/systemd/system ]` (no system runs in the root). `own_parameters`: "$1" is the
/// script's.
bool is_false(const std::vector<std::string>& words, std::string_view first, bool own_parameters) {
  if (words.empty()) {
    return false;
  }
  const auto is_own = [&](std::string_view word, char number) {
    return own_parameters && is_parameter(word, number);
  };
  if (words[0] == "dpkg" && words.size() >= 4 && words[1] == "--compare-versions" &&
      is_own(words[2], '2')) {
    return words[3] == "lt-nl" || words[3] == "le-nl" || words[3] == "gt" || words[3] == "ge" ||
           words[3] == "eq";
  }
  if (words[0] != "[" && words[0] != "test") {
    return false;
  }
  std::vector<std::string> test(words.begin() + 1, words.end());
  if (!test.empty() && test.back() == "]") {
    test.pop_back();
  }
  if (test.size() == 4 && test[0] == "!" && test[2] == "=") {
    return false;
  }
  if (test.size() == 3 && is_own(test[0], '1')) {
    const std::string_view value =
        std::string_view(test[2]).starts_with('x') && test[0].starts_with('x')
            ? std::string_view(test[2]).substr(1)
            : test[2];
    return (test[1] == "=" && is_action(value) && value != first) ||
           (test[1] == "!=" && value == first);
  }
  if (test.size() == 3 && is_own(test[0], '2')) {
    return test[1] == "!=" && test[2].empty();
  }
  if (test.size() == 2) {
    return (test[0] == "-n" && is_own(test[1], '2')) ||
           (test[0] == "-d" && test[1] == "/run/systemd/system");
  }
  return test.size() == 3 && test[0] == "!" && test[1] == "-z" && is_own(test[2], '2');
}

class Parser {
public:
  /// What holds where a text begins.
  struct Scope {
    bool live = true;
    bool own_parameters = true; ///< "$1" is the script's; inside of a function it is the caller's
    unsigned depth = 0;
  };

  Parser(ShellScript& script, std::string_view kind, Scope scope)
      : script_(script), kind_(kind), live_(scope.live), own_parameters_(scope.own_parameters),
        depth_(scope.depth) {}

  void run(std::string_view text) {
    ShellTokens tokens = tokenize_shell(text);
    if (!tokens.trouble.empty()) {
      fail(tokens.trouble);
    }
    tokens_ = std::move(tokens.tokens);
    while (at_ < tokens_.size() && script_.trouble.empty()) {
      statement();
    }
  }

private:
  /// A compound command that is open.
  struct Block {
    enum class Type { condition, branch, loop, group, choice } type;
    bool outer_live = true;
    bool outer_own_parameters = true;
    bool taken = false;             ///< choice: a pattern that is surely taken was seen
    bool subject_is_action = false; ///< choice: on "$1"
    bool condition_false = false;
    bool condition_has_or = false;
    bool condition_goes_on = false; ///< a command ended: only the last one of a list counts
  };

  /// Begins a compound command; the one that follows "name ()" is the function's body.
  Block& open(Block::Type type) {
    blocks_.push_back({type, live_, own_parameters_});
    own_parameters_ = own_parameters_ && !function_follows_;
    function_follows_ = false;
    return blocks_.back();
  }

  void fail(std::string what) {
    if (script_.trouble.empty()) {
      script_.trouble = std::move(what);
    }
  }
  [[nodiscard]] bool at_separator() const { return tokens_[at_].kind == Kind::separator; }
  [[nodiscard]] bool at_keyword(std::string_view word) const {
    return at_ < tokens_.size() && tokens_[at_].kind == Kind::word && !tokens_[at_].quoted &&
           tokens_[at_].text == word;
  }
  void skip_separators() {
    while (at_ < tokens_.size() && at_separator() && tokens_[at_].text != ")" &&
           tokens_[at_].text != ";;") {
      ++at_;
    }
  }

  void statement() {
    if (at_separator()) {
      const std::string& text = tokens_[at_].text;
      if (text == ";;") {
        ++at_;
        pattern();
        return;
      }
      if (!blocks_.empty() && blocks_.back().type == Block::Type::condition) {
        // The status of a pipeline is that of its last command, too.
        blocks_.back().condition_has_or |= text == "||" || text == "|";
        blocks_.back().condition_goes_on |= text == ";" || text == "\n" || text == "&";
      }
      if (text == "(") {
        open(Block::Type::group);
      } else if (text == ")") {
        close(Block::Type::group);
      }
      ++at_;
      return;
    }
    if (!keyword()) {
      simple_command();
    }
  }

  void close(Block::Type type) {
    if (blocks_.empty() || blocks_.back().type != type) {
      fail("brackets or keywords that do not match");
      return;
    }
    live_ = blocks_.back().outer_live;
    own_parameters_ = blocks_.back().outer_own_parameters;
    blocks_.pop_back();
  }

  bool keyword() {
    if (at_keyword("if") || at_keyword("while") || at_keyword("until")) {
      open(at_keyword("if") ? Block::Type::condition : Block::Type::loop);
    } else if (at_keyword("then")) {
      begin_branch();
    } else if (at_keyword("elif")) {
      if (!blocks_.empty()) {
        live_ = blocks_.back().outer_live;
        blocks_.back() = {Block::Type::condition, live_, blocks_.back().outer_own_parameters};
      }
    } else if (at_keyword("else")) {
      if (!blocks_.empty()) {
        live_ = blocks_.back().outer_live;
      }
    } else if (at_keyword("fi")) {
      close(Block::Type::branch);
    } else if (at_keyword("for")) {
      open(Block::Type::loop);
      while (at_ < tokens_.size() &&
             !(at_separator() && (tokens_[at_].text == ";" || tokens_[at_].text == "\n"))) {
        read_inner(tokens_[at_++]);
      }
      return true;
    } else if (at_keyword("done")) {
      close(Block::Type::loop);
      skip_redirections();
      return true;
    } else if (at_keyword("{")) {
      open(Block::Type::group);
    } else if (at_keyword("}")) {
      close(Block::Type::group);
    } else if (at_keyword("case")) {
      begin_case();
      return true;
    } else if (at_keyword("esac")) {
      close(Block::Type::choice);
    } else if (!at_keyword("do") && !at_keyword("!")) {
      return false;
    }
    if (at_keyword("!") && !blocks_.empty()) {
      blocks_.back().condition_has_or = true; // a negated false is true
    }
    ++at_;
    return true;
  }

  /// "done > file" would write.
  void skip_redirections() {
    ++at_;
    while (at_ + 1 < tokens_.size() && tokens_[at_].kind == Kind::redirection) {
      note_write(tokens_[at_].text, tokens_[at_ + 1].text);
      at_ += 2;
    }
  }

  void note_write(const std::string& form, const std::string& target) {
    if (form != "<" && form != "<&" && target != "/dev/null" &&
        !(form == ">&" && target.find_first_not_of("0123456789-") == std::string::npos)) {
      script_.commands.push_back({{"done"}, "done " + form + target, target, live_});
    }
  }

  void begin_branch() {
    if (blocks_.empty() || blocks_.back().type != Block::Type::condition) {
      fail("a 'then' without 'if'");
      return;
    }
    blocks_.back().type = Block::Type::branch;
    live_ = blocks_.back().outer_live &&
            (!blocks_.back().condition_false || blocks_.back().condition_has_or);
  }

  void begin_case() {
    ++at_;
    if (at_ >= tokens_.size()) {
      return fail("a 'case' without a word");
    }
    const bool is_parameter_1 = is_parameter(tokens_[at_].text, '1');
    read_inner(tokens_[at_++]);
    skip_separators();
    if (!at_keyword("in")) {
      return fail("a 'case' without 'in'");
    }
    ++at_;
    open(Block::Type::choice).subject_is_action = is_parameter_1 && own_parameters_;
    pattern();
  }

  /// The patterns of a clause up to ")".
  void pattern() {
    if (blocks_.empty() || blocks_.back().type != Block::Type::choice) {
      return fail("a ';;' outside of 'case'");
    }
    skip_separators();
    if (at_ >= tokens_.size() || at_keyword("esac")) {
      return;
    }
    if (at_separator() && tokens_[at_].text == "(") {
      ++at_;
    }
    bool taken = false;
    bool anything = false;
    for (; at_ < tokens_.size() && !(at_separator() && tokens_[at_].text == ")"); ++at_) {
      if (tokens_[at_].kind == Kind::word) {
        taken = taken || tokens_[at_].text == first_argument(kind_);
        anything = anything || !is_action(tokens_[at_].text);
      }
    }
    ++at_;
    Block& block = blocks_.back();
    live_ = block.outer_live && (!block.subject_is_action || taken || (anything && !block.taken));
    block.taken = block.taken || taken;
  }

  void read_inner(const ShellToken& token) {
    for (const auto& text : token.inner) {
      if (depth_ >= max_shell_depth) {
        return fail("commands nested too deeply");
      }
      Parser(script_, kind_, {live_, own_parameters_, depth_ + 1}).run(text);
    }
  }

  static bool is_assignment(const ShellToken& token) {
    const std::size_t equals = token.text.find('=');
    return equals != std::string::npos && equals > 0 &&
           std::all_of(token.text.begin(), token.text.begin() + static_cast<std::ptrdiff_t>(equals),
                       [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '_';
                       });
  }

  void simple_command() {
    ShellCommand command;
    command.live = live_;
    for (; at_ < tokens_.size() && !at_separator(); ++at_) {
      const ShellToken& token = tokens_[at_];
      command.text += (command.text.empty() ? "" : " ") + token.text;
      if (token.kind == Kind::redirection) {
        if (at_ + 1 >= tokens_.size() || tokens_[at_ + 1].kind != Kind::word) {
          return fail("a redirection without a target");
        }
        const std::string& target = tokens_[++at_].text;
        command.text += target;
        const bool descriptor = target.find_first_not_of("0123456789-") == std::string::npos;
        if (token.text != "<" && token.text != "<&" && target != "/dev/null" &&
            !(token.text == ">&" && descriptor)) {
          command.writes_to = target;
        }
        continue;
      }
      read_inner(token);
      if (!(command.words.empty() && is_assignment(token))) {
        command.words.push_back(token.text);
      }
    }
    // "name ( )" defines a function.
    if (command.words.size() == 1 && at_ + 1 < tokens_.size() && tokens_[at_].text == "(" &&
        tokens_[at_ + 1].kind == Kind::separator && tokens_[at_ + 1].text == ")") {
      script_.functions.insert(command.words[0]);
      function_follows_ = true;
      at_ += 2;
      return;
    }
    if (!blocks_.empty() && blocks_.back().type == Block::Type::condition) {
      Block& block = blocks_.back();
      if (block.condition_goes_on) {
        block.condition_false = block.condition_has_or = block.condition_goes_on = false;
      }
      block.condition_false |= is_false(command.words, first_argument(kind_), own_parameters_);
    }
    script_.changes_parameters |=
        live_ && own_parameters_ && depth_ == 0 && changes_parameters(command.words);
    if (!command.words.empty() || !command.writes_to.empty()) {
      script_.commands.push_back(std::move(command));
    }
  }

  ShellScript& script_;
  std::string_view kind_;
  bool live_;
  bool own_parameters_;
  unsigned depth_;
  bool function_follows_ = false;
  std::vector<ShellToken> tokens_;
  std::size_t at_ = 0;
  std::vector<Block> blocks_;
};

} // namespace

ShellScript parse_shell(std::string_view text, std::string_view kind) {
  ShellScript script;
  if (text.size() > max_shell_bytes) {
    script.trouble = "larger than 1 MiB";
    return script;
  }
  Parser(script, kind, {}).run(text);
  if (script.changes_parameters) { // Where "$1" is what is not followed: it may be anything.
    script = {};
    Parser(script, kind, {.own_parameters = false}).run(text);
  }
  return script;
}

} // namespace aipack::rootfs
