// Many live clients on one thread.
#include "push/crowd.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <stdexcept>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

namespace muster::test {

namespace net = boost::asio;
using net::ip::tcp;

class Crowd::Client {
  public:
    Client(Crowd& crowd, bool websocket, bool stands_still)
        : stalled(stands_still), crowd_(crowd), websocket_(websocket), socket_(crowd.context_) {}

    // Blocks until it is subscribed.
    void come() {
        socket_.open(tcp::v4());
        if (stalled) {
            socket_.set_option(net::socket_base::receive_buffer_size(4096));
        }
        socket_.connect({net::ip::address_v4::loopback(), crowd_.setup_.port});
        std::string request = websocket_ ? "GET /ws" : "GET /events/stream";
        request += " HTTP/1.1\r\nHost: test\r\nX-API-Key: " + crowd_.setup_.key + "\r\n";
        if (websocket_) {
            request +=
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        }
        net::write(socket_, net::buffer(request + "\r\n"));
        const std::size_t head = net::read_until(socket_, net::dynamic_buffer(buffer_), "\r\n\r\n");
        if (!buffer_.starts_with(websocket_ ? "HTTP/1.1 101" : "HTTP/1.1 200")) {
            throw std::runtime_error("refused: " + buffer_);
        }
        buffer_.erase(0, head);
        for (parse(); !subscribed_; parse()) {
            const std::size_t size = socket_.read_some(net::buffer(bytes_));
            buffer_.append(bytes_.data(), size);
        }
    }

    void read() {
        socket_.async_read_some(net::buffer(bytes_),
                                [this](boost::system::error_code ec, std::size_t size) {
                                    buffer_.append(bytes_.data(), size);
                                    parse();
                                    if (ec) {
                                        const std::lock_guard lock(mutex_);
                                        ledger_.ended = true;
                                    } else {
                                        read();
                                    }
                                });
    }

    Ledger ledger() const {
        const std::lock_guard lock(mutex_);
        return ledger_;
    }

    const bool stalled;

  private:
    void parse() {
        std::size_t at = 0;
        while (websocket_ ? parse_frame(at) : parse_block(at)) {
        }
        buffer_.erase(0, at);
    }

    bool parse_frame(std::size_t& at) {
        const auto byte = [&](std::size_t i) {
            return static_cast<unsigned char>(buffer_[at + i]);
        };
        const std::size_t left = buffer_.size() - at;
        if (left < 2) {
            return false;
        }
        const std::size_t wide = byte(1) == 126 ? 2 : byte(1) == 127 ? 8 : 0;
        if (left < 2 + wide) {
            return false;
        }
        std::size_t size = wide == 0 ? byte(1) : 0;
        for (std::size_t i = 0; i < wide; ++i) {
            size = size << 8 | byte(2 + i);
        }
        if (left < 2 + wide + size) {
            return false;
        }
        if ((byte(0) & 0x0f) == 1) {
            take(std::string_view(buffer_).substr(at + 2 + wide, size));
        }
        at += 2 + wide + size;
        return true;
    }

    bool parse_block(std::size_t& at) {
        const std::size_t end = buffer_.find("\n\n", at);
        if (end == std::string::npos) {
            return false;
        }
        const std::string_view block = std::string_view(buffer_).substr(at, end - at);
        const std::size_t data = block.find("data: ");
        subscribed_ = true;
        if (data != std::string_view::npos) {
            take(block.substr(data + 6));
        }
        at = end + 2;
        return true;
    }

    void take(std::string_view json) {
        const auto value = [&](std::string_view before) {
            const std::size_t begin = json.find(before);
            if (begin == std::string_view::npos) {
                return std::string();
            }
            const std::string_view rest = json.substr(begin + before.size());
            return std::string(rest.substr(0, rest.find('"')));
        };
        subscribed_ = true;
        if (json.starts_with(R"({"id":")")) {
            {
                const std::lock_guard lock(mutex_);
                ++ledger_.events;
                ledger_.last = value(R"("id":")");
                ledger_.ids = hash(ledger_.ids, ledger_.last);
            }
            if (!stalled) {
                crowd_.hear_(json);
            }
        } else if (json.starts_with(R"({"type":"overflow")")) {
            const std::lock_guard lock(mutex_);
            ledger_.overflow = value(R"("resume":")");
        }
    }

    Crowd& crowd_;
    const bool websocket_;
    tcp::socket socket_;
    std::array<char, 16384> bytes_;
    std::string buffer_;
    bool subscribed_ = false;
    mutable std::mutex mutex_;
    Ledger ledger_;
};

Crowd::Crowd(Setup setup, std::function<void(std::string_view)> hear)
    : setup_(std::move(setup)), hear_(std::move(hear)) {}

Crowd::~Crowd() {
    context_.stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Crowd::come() {
    for (std::size_t i = 0; i < setup_.readers + setup_.stalled; ++i) {
        const bool stalled = i >= setup_.readers;
        clients_.push_back(std::make_unique<Client>(*this, !stalled && i % 2 == 1, stalled));
        clients_.back()->come();
        if (!stalled) {
            clients_.back()->read();
        }
    }
    thread_ = std::thread([this] {
        const auto guard = net::make_work_guard(context_);
        context_.run();
    });
}

std::size_t Crowd::readers_with(std::size_t events) const {
    const auto all = readers();
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](const Ledger& ledger) { return ledger.events >= events; }));
}

void Crowd::wake_stalled() {
    net::post(context_, [this] {
        for (const auto& client : clients_) {
            if (client->stalled) {
                client->read();
            }
        }
    });
}

bool Crowd::stalled_ended() const {
    const auto all = stalled();
    return std::all_of(all.begin(), all.end(), [](const Ledger& ledger) { return ledger.ended; });
}

std::vector<Crowd::Ledger> Crowd::ledgers(bool stalled) const {
    std::vector<Ledger> all;
    for (const auto& client : clients_) {
        if (client->stalled == stalled) {
            all.push_back(client->ledger());
        }
    }
    return all;
}

std::vector<Crowd::Ledger> Crowd::readers() const {
    return ledgers(false);
}

std::vector<Crowd::Ledger> Crowd::stalled() const {
    return ledgers(true);
}

std::size_t Crowd::hash(std::size_t before, std::string_view id) {
    return before * 31 + std::hash<std::string_view>{}(id);
}

}  // namespace muster::test
