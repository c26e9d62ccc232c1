// SET with PX, GETDEL.
#include "http/tickets.hpp"

#include <array>
#include <stdexcept>

#include <openssl/rand.h>

namespace muster::http {
namespace {

std::string hex(const Digest& bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (std::uint8_t byte : bytes) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

std::optional<Digest> unhex(std::string_view text) {
    Digest bytes{};
    if (text.size() != 2 * bytes.size()) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::size_t digit = std::string_view("0123456789abcdef").find(text[i]);
        if (digit == std::string_view::npos) {
            return std::nullopt;
        }
        bytes[i / 2] = static_cast<std::uint8_t>(bytes[i / 2] << 4 | digit);
    }
    return bytes;
}

std::string name_of(std::string_view ticket) {
    return "muster:ticket:" + hex(digest_of(ticket));
}

}  // namespace

Task<redis::Outcome<std::string>> Tickets::issue(Digest key, TimePoint deadline) {
    Digest random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
        throw std::runtime_error("no random bytes");
    }
    const std::string ticket = hex(random);
    const std::string name = name_of(ticket);
    const std::string value = hex(key);
    const std::string milliseconds = std::to_string(std::chrono::milliseconds(lifetime).count());
    const TimePoint limit = std::min<TimePoint>(deadline, Clock::now() + timeout_);
    auto dialled = co_await dialer_.connection(limit);
    if (!dialled) {
        co_return std::move(dialled).error();
    }
    const auto connection = std::move(dialled).value();
    auto reply = co_await connection->command(limit, "SET", name, value, "NX", "PX", milliseconds);
    if (!reply) {
        co_return std::move(reply).error();
    }
    if (reply.value().text() != "OK") {
        co_return redis::Error{redis::Error::Kind::refused, std::string(reply.value().error())};
    }
    co_return ticket;
}

Task<redis::Outcome<std::optional<Digest>>> Tickets::redeem(std::string ticket,
                                                            TimePoint deadline) {
    if (!unhex(ticket)) {
        co_return std::optional<Digest>();  // not one of ours: Redis need not be asked
    }
    const std::string name = name_of(ticket);
    const TimePoint limit = std::min<TimePoint>(deadline, Clock::now() + timeout_);
    auto dialled = co_await dialer_.connection(limit);
    if (!dialled) {
        co_return std::move(dialled).error();
    }
    const auto connection = std::move(dialled).value();
    auto reply = co_await connection->command(limit, "GETDEL", name);
    if (!reply) {
        co_return std::move(reply).error();
    }
    if (reply.value().is_error()) {
        co_return redis::Error{redis::Error::Kind::refused, std::string(reply.value().error())};
    }
    co_return unhex(reply.value().text());
}

}  // namespace muster::http
