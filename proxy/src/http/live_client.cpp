// What a live client is sent, and when.
#include "http/live_client.hpp"

#include <algorithm>
#include <array>

#include <netinet/tcp.h>

#include <boost/asio/write.hpp>

#include "http/live.hpp"
#include "runtime/runtime.hpp"

namespace muster::http {
namespace {

using namespace std::chrono_literals;
using push::EventPtr;
using websocket::Close;
using websocket::Opcode;

// Events up to this size are copied together into one write; larger ones are sent as they are.
constexpr std::size_t small_event = 4096;
constexpr std::size_t one_write = 16 * 1024;
// What the kernel may hold for a client that does not read.
constexpr int send_buffer = 128 * 1024;

constexpr std::size_t most_message = 16 * 1024;  // of a client
constexpr std::size_t one_read = 4096;
constexpr auto linger_time = 1s;  // for a client to hear that it is over

constexpr auto read_deadline = 5s;   // of the stream
constexpr auto read_patience = 30s;  // with a Redis that cannot be read
constexpr auto reread_pause = 50ms;

}  // namespace

LiveClient::LiveClient(std::shared_ptr<Live> live, Beginning beginning)
    : live_(std::move(live)),
      websocket_(beginning.websocket),
      format_(websocket_ ? websocket_format() : sse_format()),
      key_(beginning.key),
      identity_(std::move(beginning.identity)),
      listener_({live_->settings_.queue_messages, live_->settings_.queue_bytes},
                live_->station_->counters, [this] { wake(); }),
      command_(std::move(beginning.command)),
      wake_(live_->context_.get_executor()),
      obeyed_(live_->context_.get_executor()),
      read_to_end_(live_->context_) {
    live_->begin(*this);
}

LiveClient::~LiveClient() {
    live_->station_->remove(listener_);
    live_->end(*this);
}

Task<> LiveClient::run(TcpSocket socket, std::string received) {
    const auto self = shared_from_this();
    socket_.emplace(std::move(socket));
    last_sent_ = last_heard_ = Clock::now();
    error_code ignored;
    socket_->set_option(net::socket_base::send_buffer_size(send_buffer), ignored);
    // Of a client that is gone or stalled, the kernel too drops what it has not taken by then.
    using UserTimeout = net::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
    socket_->set_option(UserTimeout(static_cast<int>(live_->write_timeout_.count())), ignored);
    spawn(live_->context_, "a live client's messages", read(self, std::move(received)));
    co_await serve();
    live_->station_->remove(listener_);
    if (listener_.queue.overflowed()) {
        live_->station_->counters.overflows.add();
    }
    co_await farewell();
    socket_->close(ignored);
    co_await read_to_end_.wait(TimePoint::max());
}

void LiveClient::stop() {
    end({Close::going_away, "the server is stopping"}, linger_time);
}

void LiveClient::end(LiveEnd end, Clock::duration patience) {
    end_limit_ = std::min(end_limit_, Clock::now() + patience);
    if (!end_) {
        end_ = std::move(end);
    }
    wake();
}

// The connection is of no use any more.
void LiveClient::lose() {
    gone_ = true;
    end({}, {});
}

void LiveClient::sweep(TimePoint now) {
    if (!socket_ || !socket_->is_open()) {
        return;
    }
    const bool deaf = websocket_ && now >= last_heard_ + 3 * live_->settings_.heartbeat;
    if (deaf || now >= end_limit_ || (writing_ && now >= write_limit_)) {
        error_code ignored;
        socket_->close(ignored);
        lose();
    } else if (now >= last_sent_ + live_->settings_.heartbeat && !heartbeat_due_) {
        heartbeat_due_ = true;
        wake();
    }
}

void LiveClient::wake() {
    wake_.cancel();
}

// Waits for a note.
Task<> LiveClient::rest(TimePoint until) {
    wake_.expires_at(until);
    error_code ignored;
    co_await wake_.async_wait(capture(ignored));
}

// Everything up to here was sent, is on its way, or is not wanted.
StreamId LiveClient::position() const {
    const bool all_sent = attached_ && listener_.queue.empty() && !listener_.queue.overflowed();
    return all_sent ? std::max(position_, listener_.heard()) : position_;
}

Task<> LiveClient::serve() {
    while (!end_) {
        if (command_) {
            obey(*std::exchange(command_, std::nullopt));
            obeyed_.cancel();
            co_await flush();
        } else if (replay_) {
            co_await replay_some();
        } else if (listener_.queue.overflowed()) {
            // What is on its way has been taken after all.
            end({Close::try_again_later, "events were not taken fast enough"},
                live_->write_timeout_);
        } else if (fill()) {
            co_await flush();
        } else {
            co_await rest(TimePoint::max());
        }
    }
}

// Follows what the client asks for from where it stands, or from where it says.
void LiveClient::obey(LiveCommand command) {
    const bool first = !attached_ && !replay_;
    if (command.filter) {
        // What was heard and waits, or found no room, was chosen by the filter before.
        const bool waits = !listener_.queue.empty() || listener_.queue.overflowed();
        if (attached_ && waits && !command.resume) {
            command.resume = position();
        }
        listener_.filter = *std::move(command.filter);
    }
    if (command.resume) {
        live_->station_->remove(listener_);
        listener_.queue.clear();
        attached_ = false;
        position_ = *command.resume;
        replay_.emplace(position_);
        live_->station_->counters.replays.add();
    } else if (first) {
        attach(live_->station_->live());
    }
    format_.subscribed(out_, position());
}

void LiveClient::attach(StreamId id) {
    replay_.reset();
    live_->station_->add(listener_, id);
    attached_ = true;
    position_ = id;
}

// Reads a piece of the stream and sends what is wanted of it; goes over to what comes live when
// that is reached.
Task<> LiveClient::replay_some() {
    push::Archive& archive = live_->archive_;
    auto piece =
        co_await archive.after(replay_->at(), piece_.count(), Clock::now() + read_deadline);
    std::optional<StreamId> newest;
    bool readable = piece.has_value();
    if (readable && piece.value().empty() && replay_->at() > live_->station_->live()) {
        auto last = co_await archive.newest(Clock::now() + read_deadline);
        readable = last.has_value();
        if (readable) {
            newest = last.value();
        }
    }
    if (end_ || command_) {
        co_return;
    }
    const TimePoint now = Clock::now();
    if (!readable) {
        unreadable_since_ = unreadable_since_.value_or(now);
        if (now - *unreadable_since_ > read_patience) {
            end({Close::try_again_later, "the stream of events cannot be read"}, linger_time);
        } else {
            co_await rest(now + reread_pause);
        }
        co_return;
    }
    unreadable_since_.reset();
    piece_.learn(piece.value());
    const bool brought = !piece.value().empty();
    const std::vector<EventPtr> events = replay_->take(std::move(piece).value());
    for (const EventPtr& event : events) {
        if (listener_.filter.matches(*event)) {
            put(event);
        }
        if (body_ || out_.size() >= one_write) {
            co_await flush();
            if (gone_) {
                co_return;
            }
        }
    }
    position_ = replay_->at();
    co_await flush();
    // From here to attach() nothing is waited for, so that nothing is missed in between.
    const StreamId live = live_->station_->live();
    switch (replay_->next(brought, live, newest, Clock::now())) {
        case push::Replay::Next::read:
            break;
        case push::Replay::Next::live:
            attach(replay_->at());
            break;
        case push::Replay::Next::wait:
            co_await rest(Clock::now() + reread_pause);
            break;
        case push::Replay::Next::lost:
            put(push::Event::make_reset(live, replay_->at(), "lost"));
            attach(live);
            break;
    }
}

// Puts together what is to be sent next. Returns whether there is anything.
bool LiveClient::fill() {
    if (pong_) {
        append_frame(out_, Opcode::pong, *std::exchange(pong_, std::nullopt));
    }
    while (!listener_.queue.empty() && !body_ && out_.size() < one_write) {
        put(listener_.queue.pop());
    }
    if (std::exchange(heartbeat_due_, false) && !body_) {
        format_.heartbeat(out_, position());
    }
    return !out_.empty();
}

void LiveClient::put(const EventPtr& event) {
    format_.event_head(out_, *event);
    if (event->json.size() <= small_event) {
        out_ += event->json;
        out_ += format_.event_tail();
    } else {
        body_ = event;
    }
    position_ = event->id;
    push::Counters& counters = live_->station_->counters;
    (event->reset ? counters.resets : counters.messages).add();
}

// Sends what was put together.
Task<> LiveClient::flush() {
    if (out_.empty()) {
        co_return;
    }
    const std::string_view tail = format_.event_tail();
    const std::array<net::const_buffer, 3> parts{
        net::buffer(out_), body_ ? net::buffer(body_->json) : net::const_buffer(),
        body_ ? net::buffer(tail.data(), tail.size()) : net::const_buffer()};
    writing_ = true;
    write_limit_ = Clock::now() + live_->write_timeout_;
    error_code ec;
    co_await net::async_write(*socket_, parts, capture(ec));
    writing_ = false;
    last_sent_ = Clock::now();
    body_.reset();
    out_.clear();
    if (out_.capacity() > small_event && listener_.queue.empty()) {
        out_.shrink_to_fit();  // there may be thousands of us
    }
    if (ec) {
        lose();
    }
}

// Says why it is over, and waits a moment for the client to have heard it.
Task<> LiveClient::farewell() {
    out_.clear();
    body_.reset();
    if (gone_) {
        co_return;
    }
    if (listener_.queue.overflowed()) {
        format_.overflow(out_, position_);
    }
    format_.end(out_, *end_);
    co_await flush();
    if (gone_) {
        co_return;
    }
    error_code ignored;
    socket_->shutdown(net::socket_base::shutdown_send, ignored);
    if (!peer_closed_) {
        co_await read_to_end_.wait(std::min(end_limit_, Clock::now() + linger_time));
    }
}

// Reads what the client says until it hangs up. Of SSE's clients that is nothing.
Task<> LiveClient::read(std::shared_ptr<LiveClient> self, std::string received) {
    LiveClient& client = *self;
    websocket::Reader reader(most_message);
    std::array<char, one_read> bytes;
    error_code ec;
    while (!ec) {
        if (client.websocket_ && !client.end_) {
            reader.add(received);
            while (auto message = reader.next()) {
                co_await client.take(*std::move(message));
                if (client.end_) {
                    break;
                }
            }
            if (const auto& violation = reader.violation(); violation && !client.end_) {
                client.end({violation->code, std::string(violation->reason)}, linger_time);
            }
        }
        const std::size_t size =
            co_await client.socket_->async_read_some(net::buffer(bytes), capture(ec));
        received.assign(bytes.data(), size);
        client.last_heard_ = Clock::now();
    }
    if (!client.end_) {
        client.lose();
    }
    client.read_to_end_.set();
}

Task<> LiveClient::take(websocket::Reader::Message message) {
    switch (message.opcode) {
        case Opcode::text:
            co_await take_text(message.payload);
            break;
        case Opcode::ping:  // only the last one needs an answer
            pong_ = std::move(message.payload);
            wake();
            break;
        case Opcode::close:
            peer_closed_ = true;
            end({Close::normal, ""}, linger_time);
            break;
        case Opcode::binary:
            end({Close::unsupported_data, "messages must be text"}, linger_time);
            break;
        default:
            break;
    }
}

// A message costs what a request does, for it may have the stream be read.
Task<> LiveClient::take_text(std::string_view text) {
    auto command = read_live_message(text);
    if (!command) {
        end({Close::policy_violation, std::move(command).error()}, linger_time);
        co_return;
    }
    if (const auto& bucket = identity_->bucket) {
        auto verdict = live_->limiter_.decide(live_->thread_, bucket, 1);
        if (!verdict) {
            verdict = co_await live_->limiter_.admit(live_->thread_, live_->context_, bucket, 1);
        }
        if (end_) {
            co_return;
        }
        if (!verdict->admitted) {
            end({Close::policy_violation, "the API key's quota is exceeded"}, linger_time);
            co_return;
        }
    }
    while (command_ && !end_) {  // the one before is still to be obeyed
        obeyed_.expires_after(1s);
        error_code ignored;
        co_await obeyed_.async_wait(capture(ignored));
    }
    command_ = std::move(command).value();
    wake();
}

}  // namespace muster::http
