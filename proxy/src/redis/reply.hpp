// What Redis answered, owned: a tree of values.
//
// An error reply (OOM, READONLY, NOSCRIPT, …) is a value here: the server was reached and has
// refused. A broken connection is an Error of the connection instead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct redisReply;

namespace muster::redis {

class Reply {
  public:
    struct Nil {};
    struct Status {
        std::string text;  // "OK"
    };
    struct Refusal {
        std::string text;  // "NOSCRIPT No matching script. Please use EVAL."
    };
    using Array = std::vector<Reply>;

    Reply() = default;
    explicit Reply(const redisReply& reply);

    bool is_nil() const { return std::holds_alternative<Nil>(value_); }
    bool is_error() const { return std::holds_alternative<Refusal>(value_); }
    bool is_integer() const { return std::holds_alternative<std::int64_t>(value_); }
    bool is_array() const { return std::holds_alternative<Array>(value_); }
    bool is_string() const { return std::holds_alternative<std::string>(value_); }

    // Text of a string or status; empty for anything else.
    std::string_view text() const;
    // Text of an error reply, its first word; empty for anything else.
    std::string_view error() const;
    std::string_view error_code() const;
    // 0 for anything else.
    std::int64_t integer() const;
    // Empty for anything else.
    const Array& array() const;

  private:
    std::variant<Nil, std::int64_t, std::string, Status, Refusal, Array> value_;
};

}  // namespace muster::redis
