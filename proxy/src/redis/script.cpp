// A Lua script run by its hash.
#include "redis/script.hpp"

namespace muster::redis {

Task<Outcome<Reply>> Script::run(Connection& connection, std::vector<std::string_view> keys,
                                 std::vector<std::string_view> arguments, TimePoint deadline) {
    for (bool loaded = false;;) {
        if (hash_.empty()) {
            auto hash = co_await connection.command(deadline, "SCRIPT", "LOAD", text_);
            if (!hash || hash.value().is_error())
                co_return hash;
            hash_ = hash.value().text();
            loaded = true;
        }
        const std::string count = std::to_string(keys.size());
        std::vector<std::string_view> words{"EVALSHA", hash_, count};
        words.insert(words.end(), keys.begin(), keys.end());
        words.insert(words.end(), arguments.begin(), arguments.end());
        auto reply = co_await connection.send(words, deadline);
        if (!reply || loaded || reply.value().error_code() != "NOSCRIPT")
            co_return reply;
        hash_.clear();  // a restarted server, or SCRIPT FLUSH
    }
}

}  // namespace muster::redis
