// What live clients say and are told, and WebSocket's frames, without sockets.
#include <boost/test/unit_test.hpp>

#include <string>

#include "http/live.hpp"
#include "http/live_protocol.hpp"
#include "http/websocket.hpp"

using namespace muster;
using namespace muster::http;
using websocket::Close;
using websocket::Opcode;

namespace {

// A client's frame.
std::string frame(unsigned first, const std::string& payload, unsigned mask_bit = 0x80) {
    std::string out(1, static_cast<char>(first));
    const std::string mask = mask_bit != 0 ? "\x12\x34\x56\x78" : "";
    if (payload.size() < 126) {
        out += static_cast<char>(mask_bit | payload.size());
    } else {
        out += static_cast<char>(mask_bit | 126);
        out += static_cast<char>(payload.size() >> 8);
        out += static_cast<char>(payload.size() & 0xff);
    }
    out += mask;
    for (std::size_t i = 0; i < payload.size(); ++i) {
        out += mask.empty() ? payload[i] : static_cast<char>(payload[i] ^ mask[i % 4]);
    }
    return out;
}

std::optional<Close> violation(const std::string& bytes) {
    websocket::Reader reader(1000);
    reader.add(bytes);
    while (reader.next()) {
    }
    return reader.violation() ? std::optional(reader.violation()->code) : std::nullopt;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(frames)

// RFC 6455, 1.3.
BOOST_AUTO_TEST_CASE(the_key_of_the_rfc) {
    BOOST_TEST(websocket::accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

BOOST_AUTO_TEST_CASE(messages_are_put_together_however_the_bytes_come) {
    const std::string bytes = frame(0x01, "one ") + frame(0x89, "ping") + frame(0x00, "two ") +
                              frame(0x80, "three") + frame(0x81, std::string(300, 'x')) +
                              frame(0x82, "") +
                              frame(0x88,
                                    "\x03\xe8"
                                    "bye");
    for (std::size_t step : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
        websocket::Reader reader(1000);
        std::string read;
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            reader.add(bytes.substr(at, step));
            while (const auto message = reader.next()) {
                read += std::to_string(static_cast<unsigned>(message->opcode)) + ":" +
                        message->payload.substr(0, 20) + "/";
            }
        }
        BOOST_TEST(!reader.violation());
        BOOST_TEST(read ==
                   "9:ping/1:one two three/1:xxxxxxxxxxxxxxxxxxxx/2:/8:\x03\xe8"
                   "bye/");
    }
}

BOOST_AUTO_TEST_CASE(what_breaks_the_protocol_is_named) {
    const auto is = [](const std::string& bytes, Close code) {
        const auto found = violation(bytes);
        return found && *found == code;
    };
    BOOST_TEST(is(frame(0x81, "unmasked", 0), Close::protocol_error));
    BOOST_TEST(is(frame(0xc1, "rsv"), Close::protocol_error));
    BOOST_TEST(is(frame(0x83, "opcode"), Close::protocol_error));
    BOOST_TEST(is(frame(0x80, "no beginning"), Close::protocol_error));
    BOOST_TEST(is(frame(0x01, "a") + frame(0x81, "b"), Close::protocol_error));
    BOOST_TEST(is(frame(0x09, "fragmented ping"), Close::protocol_error));
    BOOST_TEST(is(frame(0x89, std::string(126, 'x')), Close::protocol_error));
    BOOST_TEST(is(frame(0x88, "\x03"), Close::protocol_error));
    BOOST_TEST(is(frame(0x88, "\x03\xed"), Close::protocol_error));  // 1005
    BOOST_TEST(is(frame(0x88, "\x03\xe8\xff"), Close::invalid_payload));
    BOOST_TEST(is(frame(0x81, "\xc3\x28"), Close::invalid_payload));
    BOOST_TEST(is(frame(0x81, std::string(1001, 'x')), Close::message_too_big));
    BOOST_TEST(is(frame(0x01, std::string(600, 'x')) + frame(0x80, std::string(600, 'x')),
                  Close::message_too_big));
    BOOST_TEST(is(std::string("\x81\xfe\x00\x05\x00\x00\x00\x00", 8), Close::protocol_error));
    BOOST_TEST(is("\x81\xff" + std::string(12, '\xff'), Close::protocol_error));
    BOOST_TEST(!violation(frame(0x01, "\xc3") + frame(0x80, "\xa4")));
    BOOST_TEST(!violation(frame(0x88, "")));
}

BOOST_AUTO_TEST_CASE(lengths_are_written_in_their_shortest_form) {
    const auto head = [](std::size_t size) {
        std::string out;
        websocket::append_head(out, Opcode::text, size);
        return out;
    };
    BOOST_TEST(head(125) == "\x81\x7d");
    BOOST_TEST(head(126) == std::string("\x81\x7e\x00\x7e", 4));
    BOOST_TEST(head(65535) == "\x81\x7e\xff\xff");
    BOOST_TEST(head(65536) == std::string("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10));
    std::string out;
    websocket::append_close(out, Close::try_again_later, std::string(200, 'x'));
    BOOST_TEST(out.size() == 127U);
    BOOST_TEST(out.substr(0, 4) == "\x88\x7d\x03\xf5");
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(requests)

BOOST_AUTO_TEST_CASE(a_query_string_filters_and_resumes) {
    const auto read = [](const char* target, std::optional<std::string_view> last = {}) {
        return read_live_query(parse_target(target).value(), last);
    };
    const auto all = read("/ws");
    BOOST_REQUIRE(all);
    BOOST_TEST(!all.value().resume);
    const auto some = read("/ws?event_type=a.b,c&aggregate_id=x&resume=5-1&other=1");
    BOOST_REQUIRE(some);
    BOOST_TEST((*some.value().resume == StreamId{5, 1}));
    BOOST_TEST((*read("/ws?resume=5-1", "6-1").value().resume == StreamId{6, 1}));
    BOOST_TEST((*read("/ws?resume=5-1", "").value().resume == StreamId{5, 1}));
    BOOST_TEST(read("/ws?resume=x").error().status == 422U);
    BOOST_TEST(read("/ws?resume=").error().status == 422U);
    BOOST_TEST(read("/ws", "x").error().status == 422U);
    BOOST_TEST(read("/ws?event_type=").error().status == 422U);
}

BOOST_AUTO_TEST_CASE(a_message_filters_and_resumes) {
    for (
        const char* good :
        {R"({"subscribe":{}})", R"({"resume":"5-1"})",
         R"( {"subscribe": {"event_type": "a,b", "aggregate_id": ["x", "y,z"], "aggregate_type": []},
               "resume": "0-0", "more": [1, {"a": null}]} )"}) {
        BOOST_TEST(read_live_message(good).has_value(), good);
    }
    for (const char* bad :
         {"", "{}", "[]", "null", R"({"subscribe":[]})", R"({"subscribe":{"event":"a"}})",
          R"({"subscribe":{"event_type":1}})", R"({"subscribe":{"event_type":["a",]}})",
          R"({"subscribe":{"event_type":""}})", R"({"resume":"5"})", R"({"resume":5})",
          R"({"resume":"5-1"} x)", R"({"resume":"5-1")", R"({"more":1})"}) {
        const auto read = read_live_message(bad);
        BOOST_TEST(!read.has_value(), bad);
        BOOST_TEST(read.error().size() <= 123U);  // fits into a close frame
    }
}

BOOST_AUTO_TEST_CASE(both_formats) {
    const StreamId id{7, 2};
    std::string out;
    sse_format().subscribed(out, id);
    sse_format().heartbeat(out, id);
    sse_format().overflow(out, id);
    sse_format().end(out, {Close::going_away, "the server is stopping"});
    BOOST_TEST(out ==
               "retry: 1000\nid: 7-2\n\n"
               ": heartbeat\nid: 7-2\n\n"
               "event: overflow\nretry: 1000\nid: 7-2\ndata: "
               "{\"type\":\"overflow\",\"resume\":\"7-2\"}\n\n"
               "event: closed\ndata: {\"type\":\"closed\",\"code\":1001,\"reason\":\"the server is "
               "stopping\"}\n\n");
    out.clear();
    const auto reset = push::Event::make_reset(id, {}, "lost");
    sse_format().event_head(out, *reset);
    BOOST_TEST(out == "event: reset\nid: 7-2\ndata: ");
    out.clear();
    websocket_format().subscribed(out, id);
    websocket_format().end(out, {Close::normal, ""});
    BOOST_TEST(out == "\x81\x20{\"type\":\"subscribed\",\"id\":\"7-2\"}\x88\x02\x03\xe8");
}

BOOST_AUTO_TEST_CASE(origins) {
    BOOST_TEST(is_allowed_origin("https://a.example", "a.example", {}));
    BOOST_TEST(is_allowed_origin("http://A.example:8002", "a.example:8002", {}));
    BOOST_TEST(!is_allowed_origin("https://a.example:8002", "a.example", {}));
    BOOST_TEST(!is_allowed_origin("https://b.example", "a.example", {}));
    BOOST_TEST(!is_allowed_origin("https://a.example.evil", "a.example", {}));
    BOOST_TEST(!is_allowed_origin("null", "a.example", {}));
    BOOST_TEST(!is_allowed_origin("", "", {}));
    BOOST_TEST(is_allowed_origin("https://b.example", "a.example", {"https://b.example"}));
    BOOST_TEST(!is_allowed_origin("http://b.example", "a.example", {"https://b.example"}));
    BOOST_TEST(is_allowed_origin("null", "a.example", {"*"}));
}

BOOST_AUTO_TEST_SUITE_END()
