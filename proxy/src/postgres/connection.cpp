// One asynchronous PostgreSQL connection: libpq's state machine driven by coroutines.
#include "postgres/connection.hpp"

#include <algorithm>
#include <cstring>

#include <poll.h>

#include <spdlog/spdlog.h>

#include "postgres/cancel.hpp"
#include "postgres/conninfo.hpp"
#include "postgres/error.hpp"
#include "postgres/socket.hpp"

namespace muster::postgres {

namespace {

// How long a cancelled request may take to end before its connection is given up.
constexpr std::chrono::milliseconds cancel_grace{500};
constexpr std::size_t most_parameters = 65535;  // of the protocol

struct ClearResult {
    void operator()(PGresult* result) const { PQclear(result); }
};
using ResultHandle = std::unique_ptr<PGresult, ClearResult>;

struct FinishConnection {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
using ConnectionHandle = std::unique_ptr<PGconn, FinishConnection>;

void log_notice(void*, const char* message) {
    spdlog::debug("postgres: {}", trimmed(message));
}

}  // namespace

std::size_t Rows::bytes() const {
    std::size_t bytes = 0;
    const int width = columns();
    for (int row = size() - 1; row >= 0; --row) {
        for (int column = 0; column < width; ++column) {
            bytes += static_cast<std::size_t>(PQgetlength(result_.get(), row, column));
        }
    }
    return bytes;
}

class Connection::Impl {
  public:
    Impl(net::io_context& context, ConnectionHandle connection)
        : socket_(Socket::make(context)), connection_(std::move(connection)) {}

    ~Impl() { socket_->release(); }

    Task<std::optional<Error>> establish(TimePoint deadline);

    // Sends the statement. Nothing is in progress if it fails.
    std::optional<Error> send(Statement statement, std::span<const Parameter> parameters);
    std::optional<Error> send_prepare(const char* name, const char* sql);
    std::optional<Error> send_describe(const char* sql);
    // Ends a request of which nothing was sent.
    void unsent() { in_step_ = !lost(); }
    // Refuses a request on a connection that is lost, cut off or busy; takes it otherwise.
    std::optional<Error> begin();
    // Reads every result of the request up to ReadyForQuery and hands the good ones to `take`,
    // which returns a RowSink to flush before the next one, or null.
    template <class Take>
    Task<std::optional<Error>> finish(TimePoint deadline, bool pipeline, Take take);

    bool usable() const;
    PGconn* get() const { return connection_.get(); }

  private:
    enum class Wait { result, given_up };
    Task<Wait> wait_for_result();
    void sync_socket();
    void give_up();
    bool lost() const { return !connection_ || PQstatus(connection_.get()) == CONNECTION_BAD; }

    std::shared_ptr<Socket> socket_;
    ConnectionHandle connection_;
    bool in_step_ = true;     // no request is running or was cut off
    bool cancelled_ = false;  // the deadline of the running request has passed
};

// Drives PQconnectPoll to its end. Each poll may close the socket and open another, even under the
// same number, so nothing is watched during a poll.
Task<std::optional<Error>> Connection::Impl::establish(TimePoint deadline) {
    PGconn* const pg = connection_.get();
    PQsetNoticeProcessor(pg, log_notice, nullptr);
    PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
    socket_->set_deadline(deadline);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (PQstatus(pg) != CONNECTION_BAD && state != PGRES_POLLING_OK &&
           state != PGRES_POLLING_FAILED) {
        socket_->watch(PQsocket(pg));
        const auto event = state == PGRES_POLLING_READING ? co_await socket_->readable()
                                                          : co_await socket_->writable();
        socket_->release();
        if (event == Socket::Event::expired)
            co_return failure("08001", "connection attempt timed out", true);
        state = PQconnectPoll(pg);
    }
    if (state != PGRES_POLLING_OK)
        co_return connect_error(pg);
    PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
    if (PQsetnonblocking(pg, 1) != 0)
        co_return connect_error(pg);
    socket_->watch(PQsocket(pg));
    socket_->clear_deadline();
    co_return std::nullopt;
}

std::optional<Error> Connection::Impl::begin() {
    if (lost())
        return failure("08003", "the connection is closed", true);
    if (!in_step_)
        return failure("08003", "the connection is busy or was cut off in a request", false);
    in_step_ = false;
    cancelled_ = false;
    return std::nullopt;
}

std::optional<Error> Connection::Impl::send(Statement statement,
                                            std::span<const Parameter> parameters) {
    const std::size_t count = parameters.size();
    if (count > most_parameters)
        return failure(
            "54000",
            "a statement has " + std::to_string(count) + " parameters, at most 65535 are possible",
            false);
    std::vector<Oid> types(count);
    std::vector<const char*> values(count);
    std::vector<int> lengths(count);
    std::vector<int> formats(count);
    for (std::size_t i = 0; i < count; ++i) {
        const Parameter& parameter = parameters[i];
        types[i] = parameter.type;
        formats[i] = parameter.binary ? 1 : 0;
        if (!parameter.value)
            continue;
        if (parameter.value->size() > 0x3fffffff)  // the server's own limit of a field
            return failure("54000", "parameter " + std::to_string(i + 1) + " is over 1 GB", false);
        // libpq would silently send what stands before it.
        if (!parameter.binary && parameter.value->find('\0') != std::string::npos)
            return failure(
                "22021", "text parameter " + std::to_string(i + 1) + " contains a NUL byte", false);
        values[i] = parameter.value->c_str();
        lengths[i] = static_cast<int>(parameter.value->size());
    }
    const int n = static_cast<int>(count);
    const int sent = statement.is_simple ? PQsendQuery(get(), statement.text)
                     : statement.is_prepared
                         ? PQsendQueryPrepared(get(), statement.text, n, values.data(),
                                               lengths.data(), formats.data(), 0)
                         : PQsendQueryParams(get(), statement.text, n, types.data(), values.data(),
                                             lengths.data(), formats.data(), 0);
    if (sent == 0)
        return failure(lost() ? "08006" : "08P01", trimmed(PQerrorMessage(get())), lost());
    return std::nullopt;
}

std::optional<Error> Connection::Impl::send_prepare(const char* name, const char* sql) {
    if (PQsendPrepare(get(), name, sql, 0, nullptr) == 0)
        return failure(lost() ? "08006" : "08P01", trimmed(PQerrorMessage(get())), lost());
    return std::nullopt;
}

std::optional<Error> Connection::Impl::send_describe(const char* sql) {
    if (PQenterPipelineMode(get()) == 0 || PQsendPrepare(get(), "", sql, 0, nullptr) == 0 ||
        PQsendDescribePrepared(get(), "") == 0 || PQpipelineSync(get()) == 0)
        return failure(lost() ? "08006" : "08P01", trimmed(PQerrorMessage(get())), lost());
    return std::nullopt;
}

// libpq closes its socket when it finds the connection broken: stop watching before the number is
// used again.
void Connection::Impl::sync_socket() {
    if (PQsocket(get()) != socket_->fd())
        socket_->release();
}

void Connection::Impl::give_up() {
    socket_->release();
    connection_.reset();
}

// Returns when PQgetResult will not block: a result, the end, or libpq's own error of a lost
// connection. Both directions are kept moving. When the deadline passes, the server is asked once
// to cancel and has `cancel_grace` to end the request.
Task<Connection::Impl::Wait> Connection::Impl::wait_for_result() {
    for (;;) {
        const int unsent = PQflush(get());
        if (unsent < 0 || PQisBusy(get()) == 0) {
            sync_socket();
            co_return Wait::result;
        }
        const auto event =
            unsent > 0 ? co_await socket_->readable_or_writable() : co_await socket_->readable();
        if (event == Socket::Event::failed) {
            give_up();
            co_return Wait::given_up;
        }
        if (event == Socket::Event::expired) {
            if (cancelled_) {
                give_up();
                co_return Wait::given_up;
            }
            cancelled_ = true;
            send_cancel(get());
            socket_->set_deadline(Clock::now() + cancel_grace);
            continue;
        }
        if (PQconsumeInput(get()) == 0) {
            sync_socket();
            co_return Wait::result;
        }
    }
}

template <class Take>
Task<std::optional<Error>> Connection::Impl::finish(TimePoint deadline, bool pipeline, Take take) {
    socket_->set_deadline(deadline);
    std::optional<Error> first;
    for (;;) {
        if (co_await wait_for_result() == Wait::given_up)
            break;
        ResultHandle result(PQgetResult(get()));
        sync_socket();
        if (!result) {
            if (!pipeline || lost())
                break;
            continue;  // between two results of a pipeline
        }
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_PIPELINE_SYNC)
            break;
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            // The protocol could only be put in step by moving data of any size: close instead.
            give_up();
            co_return failure("0A000", "COPY to or from the client is not supported here", true);
        }
        if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
            if (!first)
                first = error_of(result.get());
        } else if (status != PGRES_PIPELINE_ABORTED && !first && !cancelled_) {
            if (RowSink* const full = take(std::move(result)))
                co_await full->flush();
        }
    }
    socket_->clear_deadline();
    if (cancelled_) {
        // Also when the answer came after all: the cancel request may still be on its way and would
        // hit the next statement. So the connection stays out of step.
        co_return failure("57014", "the deadline passed before the statement ended", lost());
    }
    if (pipeline && !lost() && PQexitPipelineMode(get()) == 0)
        give_up();
    if (lost()) {
        if (!first)
            first = failure("08006", "the connection was lost in a request", true);
        first->connection_lost = true;
    } else {
        in_step_ = true;
    }
    co_return first;
}

bool Connection::Impl::usable() const {
    if (!in_step_ || lost() || PQtransactionStatus(connection_.get()) != PQTRANS_IDLE)
        return false;
    // A server that went away, or told us that it will, has left something to read.
    pollfd fd{.fd = PQsocket(connection_.get()), .events = POLLIN, .revents = 0};
    return ::poll(&fd, 1, 0) == 0;
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

Task<Outcome<std::unique_ptr<Connection>>> Connection::connect(net::io_context& context,
                                                               const std::string& conninfo,
                                                               TimePoint deadline) {
    auto parsed = parse_conninfo(conninfo);
    if (!parsed)
        co_return std::move(parsed).error();
    auto targets = co_await resolve(parsed.value().hosts, deadline);
    if (!targets)
        co_return std::move(targets).error();

    std::optional<Error> last;
    auto left = static_cast<Clock::rep>(targets.value().size());
    for (const Target& target : targets.value()) {
        std::vector<const char*> keywords;
        std::vector<const char*> values;
        const auto set = [&](const char* keyword, const std::string& value) {
            if (!value.empty()) {
                keywords.push_back(keyword);
                values.push_back(value.c_str());
            }
        };
        const std::string utf8 = "UTF8";
        const std::string name = "muster";
        set("client_encoding", utf8);  // later keywords win: the user's own does
        set("fallback_application_name", name);
        set("host", target.host);
        set("hostaddr", target.address);
        set("port", target.port);
        for (const auto& [keyword, value] : parsed.value().settings)
            set(keyword.c_str(), value);
        keywords.push_back(nullptr);
        values.push_back(nullptr);

        // An address that does not answer leaves its share of the time to the others.
        const TimePoint now = Clock::now();
        const TimePoint attempt_deadline = now + (deadline - now) / left--;
        ConnectionHandle handle(PQconnectStartParams(keywords.data(), values.data(), 0));
        if (!handle)
            co_return failure("53200", "out of memory", true);
        auto impl = std::make_unique<Impl>(context, std::move(handle));
        last = co_await impl->establish(attempt_deadline);
        if (!last)
            co_return std::unique_ptr<Connection>(new Connection(std::move(impl)));
        if (last->sqlstate.starts_with("28"))  // as libpq: a refused login is final
            break;
    }
    co_return std::move(*last);
}

Task<Outcome<Rows>> Connection::query(Statement statement, std::span<const Parameter> parameters,
                                      TimePoint deadline) {
    if (auto refused = impl_->begin())
        co_return std::move(*refused);
    if (auto refused = impl_->send(statement, parameters)) {
        impl_->unsent();
        co_return std::move(*refused);
    }
    std::optional<Rows> rows;
    auto error = co_await impl_->finish(deadline, false, [&rows](ResultHandle result) -> RowSink* {
        rows.emplace(result.release());
        return nullptr;
    });
    if (error)
        co_return std::move(*error);
    if (!rows)
        co_return failure("08P01", "the server ended the request without a result", false);
    co_return std::move(*rows);
}

Task<Outcome<std::size_t>> Connection::query_rows(Statement statement,
                                                  std::span<const Parameter> parameters,
                                                  TimePoint deadline, RowSink& sink) {
    if (auto refused = impl_->begin())
        co_return std::move(*refused);
    if (auto refused = impl_->send(statement, parameters)) {
        impl_->unsent();
        co_return std::move(*refused);
    }
    PQsetSingleRowMode(impl_->get());
    std::size_t count = 0;
    auto error = co_await impl_->finish(deadline, false, [&](ResultHandle result) -> RowSink* {
        const Rows rows(result.release());
        if (rows.size() == 0)  // the end of the rows
            return nullptr;
        ++count;
        return sink.take(rows) ? &sink : nullptr;
    });
    if (error)
        co_return std::move(*error);
    co_return count;
}

Task<Outcome<std::size_t>> Connection::query_rows(Statement statement,
                                                  std::span<const Parameter> parameters,
                                                  TimePoint deadline,
                                                  const std::function<void(const Rows&)>& on_row) {
    struct Unbuffered final : RowSink {
        explicit Unbuffered(const std::function<void(const Rows&)>& call) : on_row(call) {}
        bool take(const Rows& row) override {
            on_row(row);
            return false;
        }
        Task<> flush() override { co_return; }
        const std::function<void(const Rows&)>& on_row;
    };
    Unbuffered sink(on_row);
    co_return co_await query_rows(statement, parameters, deadline, sink);
}

Task<std::optional<Error>> Connection::prepare(const char* name, const char* sql,
                                               TimePoint deadline) {
    if (auto refused = impl_->begin())
        co_return refused;
    if (auto refused = impl_->send_prepare(name, sql)) {
        impl_->unsent();
        co_return refused;
    }
    co_return co_await impl_->finish(deadline, false,
                                     [](ResultHandle) -> RowSink* { return nullptr; });
}

Task<Outcome<Description>> Connection::describe(const char* sql, TimePoint deadline) {
    if (auto refused = impl_->begin())
        co_return std::move(*refused);
    if (auto refused = impl_->send_describe(sql))
        co_return std::move(*refused);
    Description description;
    auto error =
        co_await impl_->finish(deadline, true, [&description](ResultHandle handle) -> RowSink* {
            const PGresult* result = handle.get();  // of Prepare (empty), then of Describe
            for (int i = 0; i < PQnparams(result); ++i)
                description.parameters.push_back(PQparamtype(result, i));
            for (int i = 0; i < PQnfields(result); ++i)
                description.columns.push_back({PQfname(result, i), PQftype(result, i)});
            return nullptr;
        });
    if (error)
        co_return std::move(*error);
    co_return std::move(description);
}

bool Connection::usable() const {
    return impl_->usable();
}

}  // namespace muster::postgres
