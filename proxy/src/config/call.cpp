// The reader of call texts: PostgreSQL's lexical rules (src/backend/parser/scan.l), as far as they
// decide what is a `$name` and what only looks like one.
#include "config/call.hpp"

#include <algorithm>
#include <cctype>

namespace muster::config {
namespace {

// Bytes past ASCII count as letters, as they do for PostgreSQL.
bool starts_identifier(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return std::isalpha(byte) != 0 || c == '_' || byte >= 0x80;
}

bool continues_identifier(char c) {
    return starts_identifier(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
}

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

std::string lowered(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return result;
}

struct CompileError {
    std::string message;
};

class Compiler {
  public:
    explicit Compiler(std::string_view text) : text_(text) {}

    Call run() {
        while (at_ < text_.size()) {
            step();
        }
        if (depth_ != 0) {
            throw CompileError{"call has an unclosed parenthesis"};
        }
        check_shape();
        return std::move(call_);
    }

  private:
    // Consumes one token.
    void step() {
        const char c = text_[at_];
        const std::string_view rest = text_.substr(at_);
        if (c == '\'') {
            quoted('\'', false, "string literal");
        } else if (c == '"') {
            quoted('"', false, "quoted identifier");
        } else if (rest.starts_with("--")) {
            at_ = std::min(text_.find('\n', at_), text_.size());
            call_.sql += ' ';
        } else if (rest.starts_with("/*")) {
            comment();
        } else if (c == '$') {
            dollar();
        } else if (starts_identifier(c)) {
            word();
        } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
            take(1);
            while (at_ < text_.size() && (continues_identifier(text_[at_]) || text_[at_] == '.')) {
                take(1);
            }
        } else {
            punctuation(c);
        }
    }

    // Copies `count` characters to the statement.
    void take(std::size_t count) {
        call_.sql += text_.substr(at_, count);
        at_ += count;
    }

    // A literal or quoted identifier; a doubled quote is one inside, and so is a backslash's next
    // character in an E'…' string.
    void quoted(char quote, bool backslashes, const char* what) {
        const std::size_t start = at_;
        for (++at_; at_ < text_.size(); ++at_) {
            if (backslashes && text_[at_] == '\\') {
                ++at_;
            } else if (text_[at_] == quote) {
                if (at_ + 1 < text_.size() && text_[at_ + 1] == quote) {
                    ++at_;
                    continue;
                }
                ++at_;
                call_.sql += text_.substr(start, at_ - start);
                return;
            }
        }
        throw CompileError{std::string("call has an unterminated ") + what};
    }

    // Comments nest, and become one space: what follows the call must not end up inside one.
    void comment() {
        int depth = 0;
        while (at_ < text_.size()) {
            const std::string_view rest = text_.substr(at_);
            if (rest.starts_with("/*")) {
                ++depth;
                at_ += 2;
            } else if (rest.starts_with("*/")) {
                at_ += 2;
                if (--depth == 0) {
                    call_.sql += ' ';
                    return;
                }
            } else {
                ++at_;
            }
        }
        throw CompileError{"call has an unterminated comment"};
    }

    // `$$…$$`, `$tag$…$tag$`, or a parameter.
    void dollar() {
        std::size_t end = at_ + 1;
        if (end < text_.size() && std::isdigit(static_cast<unsigned char>(text_[end])) != 0) {
            throw CompileError{"call has a positional parameter; parameters are named, as in $id"};
        }
        if (end < text_.size() && starts_identifier(text_[end])) {
            while (end < text_.size() && continues_identifier(text_[end])) {
                ++end;
            }
        }
        if (end < text_.size() && text_[end] == '$') {
            const std::string_view tag = text_.substr(at_, end + 1 - at_);
            const std::size_t close = text_.find(tag, end + 1);
            if (close == std::string_view::npos) {
                throw CompileError{"call has an unterminated dollar-quoted string"};
            }
            take(close + tag.size() - at_);
            return;
        }
        const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
        if (name.empty()) {
            throw CompileError{"call has a $ that names no parameter"};
        }
        at_ = end;
        parameter(std::string(name));
    }

    // Binds the same name to the same position every time.
    void parameter(std::string name) {
        CallParameter::Body body = CallParameter::Body::none;
        if (name == "body") {
            body = body_cast();
        } else if (name == "key") {
            throw CompileError{"$key is reserved"};
        }
        auto& known = call_.parameters;
        auto place = std::find_if(known.begin(), known.end(),
                                  [&](const CallParameter& p) { return p.name == name; });
        if (place == known.end()) {
            place = known.insert(place, {std::move(name), body});
        } else if (place->body != body) {
            throw CompileError{"call casts $body to two different types"};
        }
        call_.sql += '$' + std::to_string(place - known.begin() + 1);
    }

    // Looks ahead at the cast after $body: it is bound in binary, so its type must be known.
    CallParameter::Body body_cast() const {
        std::size_t at = at_;
        const auto skip_spaces = [&] {
            while (at < text_.size() && is_space(text_[at])) {
                ++at;
            }
        };
        skip_spaces();
        std::string type;
        if (text_.substr(at).starts_with("::")) {
            at += 2;
            skip_spaces();
            const std::size_t start = at;
            while (at < text_.size() && continues_identifier(text_[at])) {
                ++at;
            }
            type = lowered(text_.substr(start, at - start));
        }
        if (type == "json") {
            return CallParameter::Body::json;
        }
        if (type == "jsonb") {
            return CallParameter::Body::jsonb;
        }
        if (type == "text") {
            return CallParameter::Body::text;
        }
        if (type == "bytea") {
            return CallParameter::Body::bytea;
        }
        throw CompileError{
            "$body must be cast where it is used: $body::json, $body::jsonb, $body::text or "
            "$body::bytea"};
    }

    // An identifier or keyword; E'…' and its like begin as one.
    void word() {
        std::size_t end = at_;
        while (end < text_.size() && (continues_identifier(text_[end]) || text_[end] == '$')) {
            ++end;
        }
        const std::string prefix = lowered(text_.substr(at_, end - at_));
        take(end - at_);
        if (at_ < text_.size() && text_[at_] == '\'') {
            quoted('\'', prefix == "e", "string literal");
        }
    }

    void punctuation(char c) {
        if (c == '(') {
            ++depth_;
        } else if (c == ')' && --depth_ < 0) {
            throw CompileError{"call has an unmatched closing parenthesis"};
        } else if (c == ';') {
            throw CompileError{"call has a semicolon; a call is one function call"};
        } else if (c == '\0') {
            throw CompileError{"call has a NUL character"};
        }
        take(1);
    }

    // A call is `function(…)`; what stands in the parentheses is for the server to judge.
    void check_shape() {
        std::string& sql = call_.sql;
        while (!sql.empty() && is_space(sql.back())) {
            sql.pop_back();
        }
        const auto start = std::find_if_not(sql.begin(), sql.end(), is_space);
        sql.erase(sql.begin(), start);
        const bool starts = !sql.empty() && (starts_identifier(sql.front()) || sql.front() == '"');
        if (!starts || sql.back() != ')') {
            throw CompileError{
                "call must be one function call, as in muster.agent_json($id::uuid)"};
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;
    Call call_;
};

}  // namespace

Result<Call, std::string> compile_call(std::string_view text) {
    try {
        return Compiler(text).run();
    } catch (CompileError& error) {
        return std::move(error.message);
    }
}

}  // namespace muster::config
