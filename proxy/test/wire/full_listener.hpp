// A listener whose queue is full: it drops further SYNs, like a host that is gone.
#pragma once

#include <cstdint>
#include <vector>

#include <sys/socket.h>

#include "runtime/asio.hpp"

namespace muster::test {

class FullListener {
  public:
    FullListener() {
        listener_.open(net::ip::tcp::v4());
        listener_.bind({net::ip::address_v4::loopback(), 0});
        listener_.listen(0);
        const auto endpoint = listener_.local_endpoint();
        for (int i = 0; i < 4; ++i) {
            fillers_.emplace_back(context_, net::ip::tcp::v4());
            fillers_.back().native_non_blocking(true);  // Asio's own connect would wait
            ::connect(fillers_.back().native_handle(), endpoint.data(),
                      static_cast<socklen_t>(endpoint.size()));
        }
    }

    // On 127.0.0.1.
    std::uint16_t port() const { return listener_.local_endpoint().port(); }

  private:
    net::io_context context_;
    net::ip::tcp::acceptor listener_{context_};
    std::vector<net::ip::tcp::socket> fillers_;
};

}  // namespace muster::test
