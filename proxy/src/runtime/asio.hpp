// The coroutine vocabulary of the proxy: Asio types on the concrete io_context executor.
//
// Everything runs on io_context::executor_type rather than any_io_executor: the type-erased
// executor costs about half the throughput of a small request. Rooms use these names only, so the
// choice is made once.
#pragma once

#include <chrono>
#include <utility>  // Boost 1.74: awaitable.hpp uses std::exchange without including it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

namespace muster {

namespace net = boost::asio;
using boost::system::error_code;

using Executor = net::io_context::executor_type;

// A coroutine that yields T. It belongs to the one thread that runs its io_context.
template <class T = void>
using Task = net::awaitable<T, Executor>;

// Completion token of Task: throws boost::system::system_error on failure.
inline constexpr net::use_awaitable_t<Executor> use_task;

// Completion token of Task that stores the outcome in `ec` instead of throwing.
inline auto capture(error_code& ec) {
    return net::redirect_error(use_task, ec);
}

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

using TcpSocket = net::basic_stream_socket<net::ip::tcp, Executor>;
using TcpAcceptor = net::basic_socket_acceptor<net::ip::tcp, Executor>;
using TcpResolver = net::ip::basic_resolver<net::ip::tcp, Executor>;
using Timer = net::basic_waitable_timer<Clock, net::wait_traits<Clock>, Executor>;
using StreamDescriptor = net::posix::basic_stream_descriptor<Executor>;

}  // namespace muster
