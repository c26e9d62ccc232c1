// The forwarder's way of a message.
#include "cache/forwarder.hpp"

#include <algorithm>
#include <memory>

#include <poll.h>

namespace muster::test {
namespace {

using namespace std::chrono_literals;

struct Free {
    void operator()(redisContext* context) const { redisFree(context); }
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, Free>;
using Reply = std::unique_ptr<redisReply, Free>;

Context connect() {
    const config::Redis redis = redis_server().tcp();
    return Context(
        redisConnectWithTimeout(redis.address.host.c_str(), redis.address.port, timeval{5, 0}));
}

}  // namespace

std::string text_member(const std::string& json, const std::string& name) {
    const std::size_t at = json.find('"' + name + '"');
    if (at == std::string::npos) {
        return {};
    }
    const std::size_t begin = json.find('"', at + name.size() + 2) + 1;
    return json.substr(begin, json.find('"', begin) - begin);
}

void Forwarder::run() {
    while (!stop_) {
        const Context in = connect();
        const Context out = connect();
        const Reply subscribed(
            static_cast<redisReply*>(redisCommand(in.get(), "SUBSCRIBE l01:events l01:heartbeat")));
        held_.clear();
        while (!stop_ && in->err == 0 && out->err == 0) {
            receive(*in);
            release(*out);
        }
    }
}

void Forwarder::receive(redisContext& in) {
    pollfd readable{in.fd, POLLIN, 0};
    if (::poll(&readable, 1, 1) <= 0 || redisBufferRead(&in) != REDIS_OK) {
        return;
    }
    void* raw = nullptr;
    while (redisGetReplyFromReader(&in, &raw) == REDIS_OK && raw != nullptr) {
        const Reply reply(static_cast<redisReply*>(raw));
        if (reply->elements == 3 && reply->element[2]->type == REDIS_REPLY_STRING) {
            hold(std::string(reply->element[1]->str) == "l01:events",
                 {reply->element[2]->str, reply->element[2]->len});
        }
    }
}

void Forwarder::hold(bool change, std::string text) {
    const TimePoint now = Clock::now();
    if (one_in(1500)) {
        silent_until_ = now + 1300ms;
        ++counters_.silences;
    }
    if (now < silent_until_ || one_in(change ? 300 : 30)) {
        ++counters_.lost;
        return;
    }
    TimePoint due = now;
    if (change && one_in(60)) {
        due += std::chrono::milliseconds(random_() % 20);
        ++counters_.delayed;
    }
    const auto later = [&](const Held& one) { return one.due > due; };
    held_.insert(std::find_if(held_.begin(), held_.end(), later), {due, change, std::move(text)});
}

void Forwarder::release(redisContext& out) {
    while (!held_.empty() && held_.front().due <= Clock::now() && !stop_) {
        const Held one = std::move(held_.front());
        held_.pop_front();
        const std::uint64_t before = proxy_.changes();
        const Reply reply(static_cast<redisReply*>(redisCommand(
            &out, "PUBLISH %s %b", (channel_ + (one.change ? "events" : "heartbeat")).c_str(),
            one.text.data(), one.text.size())));
        if (reply == nullptr || !one.change || reply->integer == 0) {
            continue;
        }
        // Known once it is counted; if that does not come, the subscription was cut off.
        const TimePoint give_up = Clock::now() + 300ms;
        while (proxy_.changes() == before && Clock::now() < give_up) {
            std::this_thread::sleep_for(20us);
        }
        const std::string mark = text_member(one.text, "mark");
        if (proxy_.changes() > before && !mark.empty()) {
            ++counters_.delivered;
            const std::size_t at = one.text.find("\"item\" : ");
            known_.add(std::stoi(one.text.substr(at + 9)), mark);
        }
    }
}

}  // namespace muster::test
