// A server that says one thing, whatever it is told.
#pragma once

#include <string>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "runtime/asio.hpp"

namespace muster::test {

// Takes one connection, reads a request for TLS, answers with `answer` and reads on to the end.
class FakeUpstream {
  public:
    explicit FakeUpstream(std::string answer)
        : acceptor_(context_, {net::ip::address_v4::loopback(), 0}),
          thread_([this, said = std::move(answer)] { serve(said); }) {}
    ~FakeUpstream() {
        if (thread_.joinable())
            thread_.join();
    }
    FakeUpstream(const FakeUpstream&) = delete;
    FakeUpstream& operator=(const FakeUpstream&) = delete;

    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    // All that it was sent, once the connection has ended.
    std::string received() {
        thread_.join();
        return received_;
    }

  private:
    void serve(const std::string& answer) {
        boost::system::error_code ec;
        auto socket = acceptor_.accept(ec);
        received_.resize(8);
        net::read(socket, net::buffer(received_), ec);
        net::write(socket, net::buffer(answer), ec);
        char chunk[4096];
        while (!ec) {
            const auto n = socket.read_some(net::buffer(chunk), ec);
            received_.append(chunk, n);
        }
    }

    net::io_context context_;
    net::ip::tcp::acceptor acceptor_;
    std::string received_;
    std::thread thread_;
};

}  // namespace muster::test
