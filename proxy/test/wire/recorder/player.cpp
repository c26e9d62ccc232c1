#include "wire/recorder/player.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>

#include <poll.h>
#include <sys/socket.h>

#include "wire/bytes.hpp"
#include "wire/door.hpp"

namespace muster::test {
namespace {

constexpr int patience_ms = 60000;

// For people: what is no letter as its code, and not all of a long text.
std::string shown(const Received& one) {
    std::string text = one.type + " (" + std::to_string(one.body.size()) + ") ";
    for (const char c : one.body.substr(0, 200)) {
        if (c >= ' ' && c <= '~')
            text += c;
        else
            text += "\\" + std::to_string(static_cast<unsigned char>(c));
    }
    return text;
}

// One connection. What it is sent is kept, also while it writes: nobody waits for it to read.
class Session {
  public:
    explicit Session(unsigned short port) : socket_(port) {}

    void write(std::string_view bytes, std::size_t piece) {
        const auto size = piece == 0 ? bytes.size() : piece;
        while (!bytes.empty()) {
            wait(POLLIN | POLLOUT);
            const auto n = ::send(socket_.descriptor(), bytes.data(), std::min(size, bytes.size()),
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno != EAGAIN)
                return;  // the server has had enough; what it said of it is still to be read
            if (n > 0)
                bytes.remove_prefix(static_cast<std::size_t>(n));
            read_some();
        }
    }

    // Reads up to the `count`-th message of `type` after those awaited before.
    void await(char type, int count) {
        while (count > 0) {
            if (!next_message()) {
                if (ended_)
                    throw std::runtime_error(
                        "the stream ended before " + server_name(type) +
                        (messages_.empty() ? "" : ", behind " + shown(last())));
                wait(POLLIN);
                read_some();
            } else if (messages_.back().first == type) {
                --count;
            }
        }
    }

    void await_byte() {
        while (received_.size() == taken_) {
            if (ended_)
                throw std::runtime_error("the stream ended before a byte");
            wait(POLLIN);
            read_some();
        }
        messages_.emplace_back('\0', received_.substr(taken_, 1));
        ++taken_;
    }

    void await_end() {
        while (!ended_) {
            wait(POLLIN);
            read_some();
        }
        while (next_message()) {
        }
        if (taken_ != received_.size())
            throw std::runtime_error("the stream ended within a message");
    }

    RawClient& socket() { return socket_; }
    const std::string& received() const { return received_; }

    // Its BackendKeyData's body.
    std::string key() const {
        for (const auto& [type, body] : messages_) {
            if (type == 'K')
                return body;
        }
        throw std::runtime_error("the session has no key");
    }

    std::vector<Received> recording(const Masks& masks) const {
        std::vector<Received> all;
        for (const auto& [type, body] : messages_) {
            if (!masks.timed.contains(type))
                all.push_back(type == '\0' ? Received{"byte", body}
                                           : Received{server_name(type), masks.apply(type, body)});
        }
        if (ended_)
            all.push_back({"end", ""});
        return all;
    }

  private:
    Received last() const { return {server_name(messages_.back().first), messages_.back().second}; }

    void wait(short events) {
        pollfd one{socket_.descriptor(), ended_ ? static_cast<short>(events & ~POLLIN) : events, 0};
        if (::poll(&one, 1, patience_ms) <= 0)
            throw std::runtime_error("nothing happens");
    }

    void read_some() {
        if (ended_)
            return;
        char chunk[65536];
        const auto n = ::recv(socket_.descriptor(), chunk, sizeof chunk, MSG_DONTWAIT);
        if (n > 0)
            received_.append(chunk, static_cast<std::size_t>(n));
        else if (n == 0 || errno != EAGAIN)
            ended_ = true;
    }

    // Takes one more message off what was received; false if it is not all there.
    bool next_message() {
        if (received_.size() - taken_ < 5)
            return false;
        const std::size_t length = wire::read_uint32(received_.data() + taken_ + 1);
        if (received_.size() - taken_ < length + 1)
            return false;
        messages_.emplace_back(received_[taken_], received_.substr(taken_ + 5, length - 4));
        taken_ += length + 1;
        return true;
    }

    RawClient socket_;
    std::string received_;
    std::size_t taken_ = 0;
    std::vector<std::pair<char, std::string>> messages_;
    bool ended_ = false;
};

class Player {
  public:
    Player(unsigned short port, const PostgresServer& control) : port_(port), control_(control) {}

    void perform(const Command& command) {
        const auto& name = command.name();
        if (name == "only") {
            return;
        } else if (name == "mask") {
            masks_.bodies.insert(server_type(command[1]));
            return;
        } else if (name == "timed") {
            masks_.timed.insert(server_type(command[1]));
            return;
        }
        std::string bytes;
        if (encode(command, bytes)) {
            session();  // connects
            unsent_ += bytes;
            return;
        }
        session().write(std::exchange(unsent_, {}), piece_);
        if (name == "session")
            current_ = command[1];
        else if (name == "pieces")
            piece_ = std::stoul(command[1]);
        else if (name == "await")
            await(command);
        else if (name == "expect")
            expect(command[1]);
        else if (name == "half-close")
            session().socket().half_close();
        else if (name == "close")
            sessions_.erase(current_);
        else if (name == "reset")
            session().socket().reset();
        else if (name == "cancel")
            cancel(command[1]);
        else if (name == "control")
            control_.psql(command[1], "recorder");
        else if (name == "wait")
            wait_until(command[1], [&] { return control_.psql(command[1], "recorder") == "t\n"; });
        else
            throw std::runtime_error("unknown command \"" + name + "\"");
    }

    Recording finish() {
        session().write(std::exchange(unsent_, {}), piece_);
        Recording all;
        for (const auto& [name, one] : sessions_)
            all[name] = one->recording(masks_);
        return all;
    }

  private:
    Session& session() {
        auto& one = sessions_[current_];
        if (!one)
            one = std::make_unique<Session>(port_);
        return *one;
    }

    void await(const Command& command) {
        if (command[1] == "byte")
            session().await_byte();
        else if (command[1] == "end")
            session().await_end();
        else
            session().await(server_type(command[1]),
                            command[2].empty() ? 1 : std::stoi(command[2]));
    }

    void expect(const std::string& text) {
        if (session().received().find(text) == std::string::npos)
            throw std::runtime_error("\"" + text + "\" was not received");
    }

    void cancel(const std::string& of) {
        std::string packet{"\0\0\0\x10\x04\xd2\x16\x2e", 8};
        packet += sessions_.at(of)->key();
        RawClient connection(port_);
        connection.send(packet);
        if (!connection.receive_all().empty())
            throw std::runtime_error("a cancel request was answered");
    }

    unsigned short port_;
    const PostgresServer& control_;
    Masks masks_;
    std::map<std::string, std::unique_ptr<Session>> sessions_;
    std::string current_ = "main";
    std::string unsent_;
    std::size_t piece_ = 0;
};

}  // namespace

Recording play(const std::vector<Command>& script, unsigned short port,
               const PostgresServer& control) {
    Player player(port, control);
    for (const auto& command : script) {
        try {
            player.perform(command);
        } catch (const std::exception& error) {
            throw std::runtime_error("line " + std::to_string(command.line) + ": " + error.what());
        }
    }
    return player.finish();
}

bool only_postgres(const std::vector<Command>& script) {
    return std::any_of(script.begin(), script.end(),
                       [](const Command& command) { return command.name() == "only"; });
}

std::string difference(const Recording& direct, const Recording& proxied) {
    for (const auto& [name, expected] : direct) {
        const auto& got = proxied.at(name);
        for (std::size_t i = 0; i < std::max(expected.size(), got.size()); ++i) {
            const Received none{"nothing", ""};
            const auto& here = i < expected.size() ? expected[i] : none;
            const auto& there = i < got.size() ? got[i] : none;
            if (here != there)
                return "session " + name + ", message " + std::to_string(i + 1) +
                       ":\n  direct: " + shown(here) + "\n  proxied: " + shown(there);
        }
    }
    return "";
}

}  // namespace muster::test
