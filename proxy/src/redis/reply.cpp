// What Redis answered, owned.
#include "redis/reply.hpp"

#include <hiredis/hiredis.h>

namespace muster::redis {

// hiredis bounds the depth of what it parses, so the recursion is bounded too. The types of RESP3
// cannot come, for HELLO 3 is never sent; they are read as their nearest kin all the same.
Reply::Reply(const redisReply& reply) {
    switch (reply.type) {
        case REDIS_REPLY_INTEGER:
            value_ = static_cast<std::int64_t>(reply.integer);
            break;
        case REDIS_REPLY_STATUS:
            value_ = Status{{reply.str, static_cast<std::size_t>(reply.len)}};
            break;
        case REDIS_REPLY_ERROR:
            value_ = Refusal{{reply.str, static_cast<std::size_t>(reply.len)}};
            break;
        case REDIS_REPLY_NIL:
            break;
        default:
            if (reply.element != nullptr || reply.type == REDIS_REPLY_ARRAY) {
                Array elements;
                elements.reserve(reply.elements);
                for (std::size_t i = 0; i < reply.elements; ++i)
                    elements.emplace_back(*reply.element[i]);
                value_ = std::move(elements);
            } else if (reply.str != nullptr) {
                value_ = std::string(reply.str, static_cast<std::size_t>(reply.len));
            } else {
                value_ = static_cast<std::int64_t>(reply.integer);
            }
    }
}

std::string_view Reply::text() const {
    if (const auto* text = std::get_if<std::string>(&value_))
        return *text;
    if (const auto* status = std::get_if<Status>(&value_))
        return status->text;
    return {};
}

std::string_view Reply::error() const {
    const auto* refusal = std::get_if<Refusal>(&value_);
    return refusal == nullptr ? std::string_view() : refusal->text;
}

std::string_view Reply::error_code() const {
    const std::string_view text = error();
    return text.substr(0, text.find(' '));
}

std::int64_t Reply::integer() const {
    const auto* number = std::get_if<std::int64_t>(&value_);
    return number == nullptr ? 0 : *number;
}

const Reply::Array& Reply::array() const {
    static const Array none;
    const auto* elements = std::get_if<Array>(&value_);
    return elements == nullptr ? none : *elements;
}

}  // namespace muster::redis
