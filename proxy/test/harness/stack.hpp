// A whole private stack, as `make run` starts it: PostgreSQL with the extension, pgbouncer, Redis
// and the proxy, on free ports, in a directory of its own.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/json.hpp"
#include "harness/redis_subscriber.hpp"
#include "servers/http_client.hpp"
#include "servers/process.hpp"

namespace muster::test {

class Stack {
  public:
    // Starts everything; throws with the script's words if that fails. Everything is ended and
    // removed when the Stack goes, and by a process of its own when the test dies, even by SIGKILL.
    Stack();

    // A value of the stack's env file, e.g. "MUSTER_WIRE_DSN"; throws if there is none.
    const std::string& env(const std::string& name) const;
    unsigned short port(const std::string& service) const { return ports_.at(service); }
    std::filesystem::path directory() const { return sandbox_.path() / "stack"; }

    // Ends one server ("postgres", "pgbouncer", "redis", "proxy") and waits for its end.
    void stop(const std::string& server) const;
    // Sends one server a signal; SIGKILL waits for its end.
    void signal(const std::string& server, int number) const;
    // Starts what is down.
    void start();
    // The same without the proxy.
    void start_servers_only();
    // The command line that the proxy runs with.
    std::vector<std::string> proxy_command() const;

    RedisSubscriber subscriber(const std::string& channel = "l01:events") const;

    // One request with the stack's API key, on a connection of its own; JSON unless `body` is
    // empty.
    HttpAnswer http(const std::string& method, const std::string& target,
                    std::optional<std::string> body = {}) const;
    // Its answer's document; throws if the status is not this.
    Json http_json(int status, const std::string& method, const std::string& target,
                   std::optional<std::string> body = {}) const;
    // Header lines that carry the API key, and the type of a JSON body.
    std::string http_headers() const;

    // Runs a program and returns its output; throws if it fails.
    std::string run(const std::vector<std::string>& arguments) const;

  private:
    void start_with(const std::string& proxy);
    int pid(const std::string& server) const;
    static void wait_for_end(const std::string& server, int process);

    std::map<std::string, unsigned short> ports_;
    Sandbox sandbox_;
    std::map<std::string, std::string> env_;
};

// The stack that the tests of one program share, started when first asked for.
Stack& shared_stack();

}  // namespace muster::test
