// Measures how long a change takes from a client's commit to a subscriber of Redis.
//
//   latency_client CONNINFO REDIS_PORT RATE SECONDS
//
// Inserts rows into table `beat` (n bigint primary key, published as 'key') at RATE a second, at
// times that are fixed beforehand, each somewhere within its interval, by clients in turn. A row's
// time counts from when it was to be sent, not from when it could be: a server or a relay that
// stalls is charged for every row that it kept waiting (no coordinated omission).
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/prctl.h>

#include <hiredis/hiredis.h>
#include <libpq-fe.h>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using namespace std::chrono_literals;

constexpr std::size_t clients = 16;
constexpr auto patience = 30s;  // for what was sent to arrive

struct Free {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
    void operator()(redisContext* context) const { redisFree(context); }
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
template <class T>
using Handle = std::unique_ptr<T, Free>;

struct Beat {
    Time due;
    Time sent;
    Time acknowledged;
    std::atomic<Clock::rep> heard{0};
};

// Notes when each beat is heard, until all of them are.
class Listener {
  public:
    Listener(int port, std::vector<Beat>& beats)
        : beats_(beats), context_(redisConnectWithTimeout("127.0.0.1", port, timeval{5, 0})) {
        if (context_ == nullptr || context_->err != 0)
            throw std::runtime_error("cannot connect to Redis");
        redisSetTimeout(context_.get(), timeval{5, 0});
        const Handle<redisReply> reply(
            static_cast<redisReply*>(redisCommand(context_.get(), "SUBSCRIBE l01:events")));
        if (reply == nullptr || reply->type != REDIS_REPLY_ARRAY)
            throw std::runtime_error("Redis refuses the subscription");
    }

    // Returns how many were heard by `give_up()`.
    std::size_t listen(const std::atomic<bool>& give_up) {
        std::size_t heard = 0;
        while (heard < beats_.size() && !give_up) {
            pollfd readable{context_->fd, POLLIN, 0};
            if (::poll(&readable, 1, 100) <= 0)
                continue;
            if (redisBufferRead(context_.get()) != REDIS_OK)
                throw std::runtime_error("the connection to Redis broke");
            const Clock::rep now = Clock::now().time_since_epoch().count();
            for (void* next = nullptr;
                 redisGetReplyFromReader(context_.get(), &next) == REDIS_OK && next != nullptr;
                 next = nullptr) {
                const Handle<redisReply> reply(static_cast<redisReply*>(next));
                heard += take(*reply, now);
            }
        }
        return heard;
    }

  private:
    std::size_t take(const redisReply& reply, Clock::rep now) {
        static constexpr const char* before = "\"aggregate_type\":\"beat\",\"aggregate_id\":\"";
        if (reply.elements != 3)
            return 0;
        const char* at = std::strstr(reply.element[2]->str, before);
        if (at == nullptr)
            return 0;
        const auto n = std::strtoull(at + std::strlen(before), nullptr, 10);
        return n < beats_.size() && beats_[n].heard.exchange(now) == 0 ? 1 : 0;
    }

    std::vector<Beat>& beats_;
    Handle<redisContext> context_;
};

// One client of several: sends every `clients`-th beat, from `first` on.
void send(const std::string& conninfo, std::vector<Beat>& beats, std::size_t first) {
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    const Handle<PGconn> connection(PQconnectdb(conninfo.c_str()));
    const auto require = [&](PGresult* raw) {
        const Handle<PGresult> result(raw);
        if (PQresultStatus(result.get()) != PGRES_COMMAND_OK)
            throw std::runtime_error(PQerrorMessage(connection.get()));
    };
    require(PQprepare(connection.get(), "beat", "INSERT INTO beat VALUES ($1)", 1, nullptr));
    for (std::size_t n = first; n < beats.size(); n += clients) {
        std::this_thread::sleep_until(beats[n].due);
        const std::string text = std::to_string(n);
        const char* value = text.c_str();
        beats[n].sent = Clock::now();
        require(PQexecPrepared(connection.get(), "beat", 1, &value, nullptr, nullptr, 0));
        beats[n].acknowledged = Clock::now();
    }
}

// Sends all beats. Returns what went wrong.
std::string send_all(const std::string& conninfo, std::vector<Beat>& beats, double rate) {
    const Handle<PGconn> connection(PQconnectdb(conninfo.c_str()));
    const Handle<PGresult> result(PQexec(connection.get(), "TRUNCATE beat"));
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK)
        return PQerrorMessage(connection.get());
    std::mt19937 random(1);
    std::uniform_real_distribution<double> within(0, 1);
    const Time start = Clock::now() + 300ms;
    for (std::size_t n = 0; n < beats.size(); ++n)
        beats[n].due =
            start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                        (static_cast<double>(n) + within(random)) / rate));
    std::vector<std::string> wrong(clients);
    std::vector<std::thread> threads;
    for (std::size_t client = 0; client < clients; ++client)
        threads.emplace_back([&, client] {
            try {
                send(conninfo, beats, client);
            } catch (const std::runtime_error& error) {
                wrong[client] = error.what();
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    return *std::max_element(wrong.begin(), wrong.end());
}

double milliseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

void print_percentiles(const char* name, std::vector<double> times) {
    std::sort(times.begin(), times.end());
    const auto at = [&](double part) {
        const auto rank =
            static_cast<std::size_t>(std::ceil(part * static_cast<double>(times.size())));
        return times[std::clamp<std::size_t>(rank, 1, times.size()) - 1];
    };
    std::printf("  %-34s p50 %7.2f  p95 %7.2f  p99 %7.2f  max %7.2f ms\n", name, at(0.50), at(0.95),
                at(0.99), times.back());
}

void print_distribution(const std::vector<double>& times) {
    static constexpr double bounds[] = {0.5, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50, 100, 1e9};
    double from = 0;
    std::size_t sum = 0;
    for (const double to : bounds) {
        const auto count = static_cast<std::size_t>(std::count_if(
            times.begin(), times.end(), [&](double time) { return from <= time && time < to; }));
        sum += count;
        const double part = static_cast<double>(count) / static_cast<double>(times.size());
        if (count > 0 && to < 1e9)
            std::printf("  up to %5.1f ms %7zu %6.2f %%  %s\n", to, count,
                        100 * static_cast<double>(sum) / static_cast<double>(times.size()),
                        std::string(static_cast<std::size_t>(std::lround(part * 50)), '#').c_str());
        else if (count > 0)
            std::printf("  longer         %7zu 100.00 %%\n", count);
        from = to;
    }
}

int measure(const std::string& conninfo, int port, double rate, double seconds) {
    std::vector<Beat> beats(static_cast<std::size_t>(rate * seconds));
    Listener listener(port, beats);
    std::atomic<bool> give_up{false};
    std::size_t heard = 0;
    std::thread listening([&] { heard = listener.listen(give_up); });
    std::string wrong = send_all(conninfo, beats, rate);
    give_up = !wrong.empty();
    std::atomic<bool> done{false};
    std::thread limit([&] {
        for (const Time end = Clock::now() + patience; !done && Clock::now() < end;)
            std::this_thread::sleep_for(20ms);
        give_up = true;
    });
    listening.join();
    done = true;
    limit.join();
    if (wrong.empty() && heard < beats.size())
        wrong = std::to_string(beats.size() - heard) + " of " + std::to_string(beats.size()) +
                " changes were not heard";
    if (!wrong.empty()) {
        std::fprintf(stderr, "latency_client: %s\n", wrong.c_str());
        return 1;
    }
    std::vector<double> total, late, commit;
    for (const Beat& beat : beats) {
        total.push_back(milliseconds(Time(Clock::duration(beat.heard)) - beat.due));
        late.push_back(milliseconds(beat.sent - beat.due));
        commit.push_back(milliseconds(beat.acknowledged - beat.sent));
    }
    print_percentiles("due -> heard by the subscriber", total);
    print_percentiles("  of it: sent late", late);
    print_percentiles("  of it: the writer's own commit", commit);
    print_distribution(total);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: latency_client CONNINFO REDIS_PORT RATE SECONDS\n");
        return 2;
    }
    const int port = std::atoi(argv[2]);
    const double rate = std::atof(argv[3]);
    const double seconds = std::atof(argv[4]);
    if (port <= 0 || rate <= 0 || rate > 1e6 || rate * seconds < 1 || rate * seconds > 1e7) {
        std::fprintf(stderr, "latency_client: nothing to measure\n");
        return 2;
    }
    try {
        return measure(argv[1], port, rate, seconds);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "latency_client: %s\n", error.what());
        return 1;
    }
}
