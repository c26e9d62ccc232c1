// wire::Leg: what a reader is told, when, on real sockets.
#include "wire/leg.hpp"

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>
#include <sys/socket.h>

using namespace muster;
using namespace muster::wire;
using namespace std::chrono_literals;

namespace {

std::array<Socket, 2> connected(net::io_context& context, bool tcp) {
    if (!tcp) {
        std::array<int, 2> ends{};
        BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
        const Protocol unix_stream(AF_UNIX, 0);
        return {Socket(context.get_executor(), unix_stream, ends[0]),
                Socket(context.get_executor(), unix_stream, ends[1])};
    }
    TcpAcceptor acceptor(context.get_executor(), {net::ip::address_v4::loopback(), 0});
    TcpSocket near(context.get_executor());
    near.connect(acceptor.local_endpoint());
    TcpSocket far = acceptor.accept();
    return {Socket(std::move(near)), Socket(std::move(far))};
}

// A leg whose reader runs all the time, and the peer's end of the connection.
class Reading {
  public:
    // With `polite` peers nothing more is expected behind what was read.
    explicit Reading(bool tcp, bool polite = true) : leg_(Socket(context_.get_executor())) {
        auto ends = connected(context_, tcp);
        leg_.adopt(std::move(ends[0]));
        peer_ = std::move(ends[1]);
        net::co_spawn(context_, run(polite), net::detached);
    }
    ~Reading() {
        leg_.close();
        context_.run_for(10s);
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    Leg& leg() { return leg_; }
    void say(std::string_view bytes) { net::write(peer_, net::buffer(bytes)); }
    void hang_up() { peer_.close(); }
    void reset() {
        peer_.set_option(net::socket_base::linger(true, 0));
        peer_.close();
    }
    // Lets the reader do what it can, and what it is to be told in a moment too.
    void go_on() {
        context_.restart();
        context_.run_for(20ms);
    }
    const std::string& heard() const { return heard_; }
    std::size_t interruptions() const { return interruptions_; }
    // How it ended, if it has.
    const std::optional<error_code>& end() const { return end_; }

  private:
    Task<> run(bool polite) {
        for (;;) {
            if (leg_.must_wait())
                co_await leg_.wait();
            std::optional<BufferPool::Buffer> block;
            error_code ec;
            const auto bytes = leg_.read(pool_, block, ec);
            if (would_block(ec))
                continue;
            if (ec == net::error::operation_aborted && leg_.socket().is_open()) {
                ++interruptions_;
                continue;
            }
            if (ec) {
                end_ = ec;
                co_return;
            }
            heard_ += bytes;
            if (polite)
                leg_.expect_nothing();
        }
    }

    net::io_context context_;
    BufferPool pool_;
    Leg leg_;
    Socket peer_{context_.get_executor()};
    std::string heard_;
    std::size_t interruptions_ = 0;
    std::optional<error_code> end_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_leg)

BOOST_AUTO_TEST_CASE(what_comes_is_read_whatever_its_size) {
    for (const bool tcp : {true, false}) {
        for (const bool polite : {true, false}) {
            Reading reading(tcp, polite);
            std::string said;
            // Around what is read without a block, and around a block.
            for (const std::size_t size : {1U, 511U, 512U, 513U, 16383U, 16384U, 16385U, 100000U}) {
                const std::string piece(size, static_cast<char>('a' + size % 26));
                said += piece;
                reading.say(piece);
                reading.go_on();
                BOOST_TEST(reading.heard().size() == said.size());
            }
            BOOST_TEST((reading.heard() == said));
            reading.hang_up();
            reading.go_on();
            BOOST_TEST(reading.end().has_value());
        }
    }
}

BOOST_AUTO_TEST_CASE(what_has_come_before_the_first_wait_is_read) {
    Reading reading(true);
    reading.say("early");
    reading.go_on();
    BOOST_TEST(reading.heard() == "early");
    reading.say(" and late");
    reading.go_on();
    BOOST_TEST(reading.heard() == "early and late");
}

// epoll tells of both once, and nobody has been told to look for the end.
BOOST_AUTO_TEST_CASE(an_end_that_comes_with_the_last_bytes_is_seen_when_looked_for) {
    for (const bool tcp : {true, false}) {
        Reading reading(tcp);
        reading.say("first");
        reading.go_on();
        reading.say("last");
        reading.hang_up();
        reading.go_on();
        BOOST_TEST(reading.heard() == "firstlast");
        reading.leg().look_again();
        reading.go_on();
        BOOST_REQUIRE(reading.end().has_value());
        BOOST_TEST(*reading.end() == net::error::eof);
    }
}

// Where a second read has met the end already.
BOOST_AUTO_TEST_CASE(an_end_behind_as_much_as_a_little_read_takes_is_seen_at_once) {
    Reading reading(true);
    reading.say("first");
    reading.go_on();
    reading.say(std::string(512, 'x'));
    reading.hang_up();
    reading.go_on();
    BOOST_TEST(reading.heard().size() == 517U);
    BOOST_TEST(reading.end().has_value());
}

BOOST_AUTO_TEST_CASE(a_reset_that_comes_with_the_last_bytes_is_no_end) {
    Reading reading(true);
    reading.say("first");
    reading.go_on();
    reading.say("last");
    reading.reset();
    reading.go_on();
    reading.leg().look_again();
    reading.go_on();
    BOOST_REQUIRE(reading.end().has_value());
    BOOST_TEST(*reading.end() == net::error::connection_reset);
}

BOOST_AUTO_TEST_CASE(an_end_by_itself_is_seen_at_once) {
    for (const bool tcp : {true, false}) {
        Reading reading(tcp);
        reading.say("last");
        reading.go_on();
        reading.hang_up();
        reading.go_on();
        BOOST_TEST(reading.end().has_value());
    }
}

BOOST_AUTO_TEST_CASE(a_reset_is_seen) {
    Reading reading(true);
    reading.say("last");
    reading.go_on();
    reading.reset();
    reading.go_on();
    BOOST_REQUIRE(reading.end().has_value());
    BOOST_TEST(*reading.end() == net::error::connection_reset);
}

BOOST_AUTO_TEST_CASE(looking_again_changes_nothing_while_the_peer_is_there) {
    Reading reading(true);
    for (int i = 0; i < 3; ++i) {
        reading.say("x");
        reading.go_on();
        reading.leg().look_again();
        reading.leg().look_again();
        reading.go_on();
    }
    BOOST_TEST(reading.heard() == "xxx");
    BOOST_TEST(reading.interruptions() == 0U);
    BOOST_TEST(!reading.end().has_value());
}

BOOST_AUTO_TEST_CASE(an_interruption_is_told_once_and_never_lost) {
    Reading reading(true);
    reading.leg().interrupt();  // before it has begun to wait
    reading.go_on();
    BOOST_TEST(reading.interruptions() == 1U);
    reading.leg().interrupt();  // while it waits
    reading.go_on();
    BOOST_TEST(reading.interruptions() == 2U);
    reading.say("x");
    reading.leg().interrupt();  // when there is something to read too
    reading.go_on();
    BOOST_TEST(reading.interruptions() == 3U);
    BOOST_TEST(reading.heard() == "x");
    BOOST_TEST(!reading.end().has_value());
}

BOOST_AUTO_TEST_CASE(closing_ends_the_wait) {
    Reading reading(true);
    reading.say("x");
    reading.go_on();
    reading.leg().close();
    reading.go_on();
    BOOST_TEST(reading.end().has_value());
}

// There is always something to read here.
BOOST_AUTO_TEST_CASE(others_have_their_turn) {
    net::io_context context;
    BufferPool pool;
    auto ends = connected(context, false);
    Leg leg{Socket(context.get_executor())};
    leg.adopt(std::move(ends[0]));
    const std::string said(2000, 'x');
    net::write(ends[1], net::buffer(said));
    bool others = false;
    int reads = 0;
    constexpr int most = 1000;
    const auto read_on = [&]() -> Task<> {
        net::post(context, [&] { others = true; });
        while (!others && reads < most) {
            if (leg.must_wait())
                co_await leg.wait();
            std::optional<BufferPool::Buffer> block;
            error_code ec;
            const auto bytes = leg.read(pool, block, ec);
            net::write(ends[1], net::buffer(said, bytes.size()));
            ++reads;
        }
    };
    net::co_spawn(context, read_on, net::detached);
    context.run_for(10s);
    BOOST_TEST(others);
    BOOST_TEST(reads < 100);
}

// The context goes first: the coroutine that waits is destroyed with it.
BOOST_AUTO_TEST_CASE(a_context_may_end_under_a_wait) {
    BufferPool pool;
    auto context = std::make_unique<net::io_context>();
    auto ends = connected(*context, true);
    auto leg = std::make_shared<Leg>(Socket(context->get_executor()));
    leg->adopt(std::move(ends[0]));
    net::co_spawn(
        *context,
        [kept = leg, &pool]() -> Task<> {
            error_code ec;
            while (!ec || would_block(ec)) {
                if (kept->must_wait())
                    co_await kept->wait();
                std::optional<BufferPool::Buffer> block;
                kept->read(pool, block, ec);
            }
        },
        net::detached);
    context->run_for(20ms);
    const std::weak_ptr<Leg> left = leg;
    leg.reset();
    ends[1].close();
    BOOST_TEST(!left.expired());
    ends = {Socket(context->get_executor()), Socket(context->get_executor())};
    context.reset();
    BOOST_TEST(left.expired());
}

BOOST_AUTO_TEST_SUITE_END()
