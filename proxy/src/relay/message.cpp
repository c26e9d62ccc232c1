// The JSON of a message.
#include "relay/message.hpp"

#include <random>

namespace muster::relay {

std::string make_epoch() {
    static constexpr char digits[] = "0123456789abcdef";
    std::random_device random;
    std::string epoch;
    while (epoch.size() < 16) {
        unsigned bits = random();
        for (int i = 0; i < 8; ++i, bits >>= 4)
            epoch.push_back(digits[bits & 15]);
    }
    return epoch;
}

std::string splice(StreamId id, StreamId previous, std::string_view epoch, std::string_view fixed) {
    std::string message;
    message.reserve(fixed.size() + 128);
    message.append(R"({"id":")").append(id.text());
    message.append(R"(","prev_id":")").append(previous.text());
    message.append(R"(","epoch":")").append(epoch);
    message.append(R"(",)").append(fixed.substr(1));
    return message;
}

std::string heartbeat(std::string_view epoch, std::uint64_t tick, std::string_view snapshot) {
    std::string message;
    message.append(R"({"epoch":")").append(epoch);
    message.append(R"(","tick":)").append(std::to_string(tick));
    message.append(R"(,"snapshot":")").append(snapshot).append(R"("})");
    return message;
}

}  // namespace muster::relay
