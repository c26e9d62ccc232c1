// One client's connection: requests in, answers out, in order. Internal to the server.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "http/exchange.hpp"
#include "http/server.hpp"

namespace muster::http {

class Session final : public Exchange {
  public:
    Session(std::shared_ptr<Server> server, TcpSocket socket);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Serves the connection to its end.
    static Task<> run(std::shared_ptr<Server> server, TcpSocket socket);

    // Closes the connection if it is past its deadline: every wait on the client has one.
    void sweep(TimePoint now);
    // Ends the connection after its next answer, or soon if no request comes.
    void stop();

    std::optional<std::string_view> header(std::string_view name) const override;
    std::vector<std::string_view> headers(std::string_view name) const override;
    bool has_body() const override;
    Task<std::optional<Response>> receive_body() override;

  private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
    enum class State { idle, reading, handling, writing, lingering, continuing };

    Task<bool> serve_one();
    Task<bool> read_head();
    Task<bool> refuse(unsigned status, std::string detail);
    Task<bool> write(const Response& response, bool keep);
    Task<bool> discard_body();
    Task<> go_on(std::shared_ptr<Continuation> continuation);
    Task<> linger();
    std::size_t count_headers();
    std::optional<Response> head_mistake();
    void set(State state, TimePoint limit);
    void close();

    std::shared_ptr<Server> server_;
    TcpSocket socket_;
    boost::beast::flat_buffer buffer_;
    std::optional<Parser> parser_;
    State state_ = State::idle;
    TimePoint limit_;           // for the client's part, where that is waited for here
    std::uint64_t served_ = 0;  // requests
    bool head_only_ = false;    // HEAD
    bool body_read_ = false;
    bool body_failed_ = false;
    bool gone_ = false;  // the client is; nothing can be written
    std::string head_;   // of the answer being written
    std::shared_ptr<Continuation> continuation_;
};

}  // namespace muster::http
