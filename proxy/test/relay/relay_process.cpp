// A relay as a process of its own, to be killed: relay_process CONNINFO REDIS_HOST REDIS_PORT
#include <csignal>
#include <cstdlib>

#include "relay/relay.hpp"

int main(int argc, char** argv) {
    if (argc != 4)
        return 2;
    std::signal(SIGPIPE, SIG_IGN);
    muster::config::Relay relay;
    relay.conninfo = argv[1];
    relay.stream_length = 10'000'000;
    muster::config::Redis redis;
    redis.address = {argv[2], static_cast<std::uint16_t>(std::atoi(argv[3]))};
    muster::net::io_context context(1);
    muster::relay::Relay instance(context, relay, redis);
    instance.start();
    context.run();
    return 0;
}
