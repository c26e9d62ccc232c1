// A TCP relay in front of a server, which a test can cut.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "runtime/asio.hpp"

namespace muster::test {

class Relay {
  public:
    // Leads from `address`:`port` (0: a free one) to 127.0.0.1:`target`, on a thread of its own.
    explicit Relay(unsigned short target, const std::string& address = "127.0.0.1",
                   unsigned short port = 0)
        : target_(net::ip::address_v4::loopback(), target),
          guard_(context_.get_executor()),
          acceptor_(context_) {
        const net::ip::tcp::endpoint here(net::ip::make_address(address), port);
        acceptor_.open(here.protocol());
        acceptor_.set_option(TcpAcceptor::reuse_address(true));
        acceptor_.bind(here);
        acceptor_.listen();
        port_ = acceptor_.local_endpoint().port();
        net::co_spawn(context_, accept(), net::detached);
        thread_ = std::thread([this] { context_.run(); });
    }
    ~Relay() {
        context_.stop();
        thread_.join();
    }
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    unsigned short port() const { return port_; }
    int accepted() const { return accepted_; }

    // Resets the connections that there are, both ways.
    void reset_all() {
        net::post(context_, [this] {
            for (const auto& weak : pairs_) {
                if (const auto pair = weak.lock()) {
                    for (TcpSocket* socket : {&pair->first, &pair->second}) {
                        error_code ignored;
                        socket->set_option(net::socket_base::linger(true, 0), ignored);
                        socket->close(ignored);
                    }
                }
            }
            pairs_.clear();
        });
    }

  private:
    using Pair = std::pair<TcpSocket, TcpSocket>;

    Task<> accept() {
        for (;;) {
            error_code ec;
            auto socket = co_await acceptor_.async_accept(capture(ec));
            if (ec)
                continue;
            ++accepted_;
            const auto pair =
                std::make_shared<Pair>(std::move(socket), TcpSocket(context_.get_executor()));
            co_await pair->second.async_connect(target_, capture(ec));
            if (ec)
                continue;
            pairs_.push_back(pair);
            net::co_spawn(context_, copy(pair, pair->first, pair->second), net::detached);
            net::co_spawn(context_, copy(pair, pair->second, pair->first), net::detached);
        }
    }

    static Task<> copy(std::shared_ptr<Pair> keep, TcpSocket& from, TcpSocket& to) {
        char chunk[8192];
        error_code ec;
        while (!ec) {
            const auto n = co_await from.async_read_some(net::buffer(chunk), capture(ec));
            if (!ec)
                co_await net::async_write(to, net::buffer(chunk, n), capture(ec));
        }
        if (ec == net::error::eof)
            to.shutdown(TcpSocket::shutdown_send, ec);
        else
            to.close(ec);
        static_cast<void>(keep);
    }

    const net::ip::tcp::endpoint target_;
    net::io_context context_{1};
    net::executor_work_guard<Executor> guard_;
    TcpAcceptor acceptor_;
    unsigned short port_ = 0;
    std::atomic<int> accepted_{0};
    std::vector<std::weak_ptr<Pair>> pairs_;
    std::thread thread_;
};

}  // namespace muster::test
