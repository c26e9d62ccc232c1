// One more proxy of the shared stack, with settings and routes of its own.
#pragma once

#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/wait.h>

#include "end_to_end/support.hpp"

namespace muster::test {

// Its relay is off: the stack's own leads. Ends with the object.
class ExtraProxy {
  public:
    explicit ExtraProxy(const std::vector<std::string>& settings = {},
                        std::vector<std::string> command = shared_stack().proxy_command()) {
        const auto set = [&](const std::string& setting) {
            command.push_back("--set");
            command.push_back(setting);
        };
        const auto local = [](unsigned short port) { return "127.0.0.1:" + std::to_string(port); };
        set("http.listen=" + local(http));
        set("admin.listen=" + local(admin));
        set("wire.listen=" + local(free_port()));
        set("relay.enabled=false");
        for (const auto& setting : settings)
            set(setting);
        process_ = std::make_unique<Process>(command, log(), SIGTERM);
        wait_until("one more proxy", [&] {
            if (!process_->running())
                throw std::runtime_error(read_file(log()));
            try {
                return HttpClient(http).request("GET", "/health/ready").status == 200;
            } catch (const std::runtime_error&) {
                return false;
            }
        });
    }

    // The value of a metric, labels and all.
    double metric(const std::string& name) const { return metric_of(admin, name); }
    static double metric_of(unsigned short port, const std::string& name) {
        const auto text = HttpClient(port).request("GET", "/metrics").body;
        const auto at = text.find("\n" + name + " ");
        if (at == std::string::npos)
            throw std::runtime_error("no metric " + name);
        return std::stod(text.substr(at + name.size() + 2));
    }
    std::string said() const { return read_file(log()); }
    pid_t pid() const { return process_->pid(); }
    // Tells it to stop. Returns its exit code.
    int stop() {
        process_->signal(SIGTERM);
        const int status = process_->wait();
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    const unsigned short http = free_port();
    const unsigned short admin = free_port();

  private:
    std::filesystem::path log() const { return sandbox_.path() / "log"; }
    Sandbox sandbox_;
    std::unique_ptr<Process> process_;
};

}  // namespace muster::test
