// The ways of a read.
#include "http/cached_reads.hpp"

#include <algorithm>

#include "http/etag.hpp"

namespace muster::http {
namespace {

using cache::Fence;

std::string hit(std::chrono::seconds left, std::string_view detail) {
    return "muster; hit; ttl=" + std::to_string(left.count()) + "; detail=" + std::string(detail);
}

std::string hit(const cache::Entry& entry, std::string_view level) {
    return hit(std::chrono::duration_cast<std::chrono::seconds>(entry.expires - Clock::now()),
               level);
}

}  // namespace

// Announces a query, and wakes those who joined it however it ends.
class CachedReads::Flying {
  public:
    Flying(CachedReads& reads, const std::string& key)
        : reads_(reads), key_(key), query_(std::make_shared<Query>()) {
        // Before anything is asked: what is known now, the answer will have seen.
        query_->era = reads_.cache_.fence().era();
        query_->known = reads_.cache_.fence().now_known();
        reads_.queries_.insert_or_assign(key_, query_);
    }
    ~Flying() {
        const auto present = reads_.queries_.find(key_);
        if (present != reads_.queries_.end() && present->second == query_) {
            reads_.queries_.erase(present);
        }
        query_->flight.land(std::move(landed_));
    }
    Flying(const Flying&) = delete;
    Flying& operator=(const Flying&) = delete;
    Fence::Era era() const { return query_->era; }
    void land(const Landed& landed) { landed_ = landed; }

  private:
    CachedReads& reads_;
    const std::string& key_;
    std::shared_ptr<Query> query_;
    std::optional<Landed> landed_;
};

CachedReads::CachedReads(net::io_context& context, cache::Cache& cache,
                         const config::Cache& settings, unsigned thread)
    : context_(context),
      cache_(cache),
      settings_(settings),
      counters_(cache.counters(thread)),
      remote_(context, cache.redis(), settings.l2_timeout, counters_.l2_errors,
              cache.redis_breaker()) {}

Task<Response> CachedReads::answer(const Question& question) {
    Read read{question,
              question.plan.key(question.values),
              question.plan.read_tags(question.values),
              0,
              0,
              {}};
    bool foreign = false;  // the token is of an epoch that is not ours
    if (const auto header = question.exchange.header("Muster-Token")) {
        const auto token = cache::Token::parse(*header);
        if (!token) {
            co_return respond(400,
                              "the header Muster-Token must be <epoch>:<transaction id>, as a "
                              "write has answered it");
        }
        const auto era = cache_.fence().era_of(token->epoch);
        foreign = !era;
        read.token = token->xid;
        read.era = era.value_or(0);
    }
    if (foreign) {
        counters_.token.add();
        read.forwarded = "request";
    } else if (!cache_.fence().alive(Clock::now())) {
        counters_.no_heartbeat.add();
        read.forwarded = "bypass";
    } else if (const auto entry = find(read)) {
        counters_.l1_hits.add();
        co_return respond_entry(read, entry, hit(*entry, "l1"));
    } else {
        co_return co_await miss(read);
    }
    counters_.asked.add();
    const Landed landed = co_await ask(read);
    co_return respond_landed(read, landed, "muster; fwd=" + std::string(read.forwarded));
}

std::string CachedReads::wrote(const cache::Origin& origin, Fence::Era asked,
                               const std::vector<std::string>& tags) {
    const std::string epoch =
        cache_.fence().wrote(origin.incarnation, asked, tags, origin.xid, Clock::now());
    return cache::Token{epoch.empty() ? std::string(cache::no_epoch) : epoch, origin.xid}.text();
}

// The entry of L1, if it may be served.
cache::EntryPtr CachedReads::find(Read& read) {
    auto entry = cache_.store().get(read.key);
    if (!entry) {
        counters_.absent.add();
        read.forwarded = "uri-miss";
        return nullptr;
    }
    if (serves(*entry, read)) {
        return entry;
    }
    if (read.forwarded == "stale" && !read.token && !staleness(*entry, read)) {
        cache_.store().erase(read.key, entry);
    }
    return nullptr;
}

// Judges an entry; counts the reason if it may not be served.
bool CachedReads::serves(const cache::Entry& entry, Read& read) {
    const TimePoint now = Clock::now();
    read.forwarded = "stale";
    if (now >= entry.expires) {
        counters_.expired.add();
        return false;
    }
    switch (cache_.fence().judge(entry.snapshot, entry.era, read.tags, now)) {
        case Fence::Verdict::serve:
            break;
        case Fence::Verdict::no_heartbeat:
            counters_.no_heartbeat.add();
            return false;
        case Fence::Verdict::other_era:
            counters_.other_era.add();
            return false;
        case Fence::Verdict::floor:
            counters_.floor.add();
            return false;
        case Fence::Verdict::changed:
            counters_.changed.add();
            return false;
    }
    if (!read.token_seen(entry)) {
        counters_.token.add();
        read.forwarded = "request";
        return false;
    }
    return true;
}

// How long an entry is past its rule, if it may stand in for a database that is away: its faults
// are no others than its age and the silence of the relay, for a bounded time, and no token is
// against it. One that is known to be overtaken is not old but wrong.
std::optional<std::chrono::seconds> CachedReads::staleness(const cache::Entry& entry,
                                                           const Read& read) const {
    const Fence& fence = cache_.fence();
    if (!read.token_seen(entry) ||
        fence.judge_known(entry.snapshot, entry.era, read.tags) != Fence::Verdict::serve) {
        return std::nullopt;
    }
    const TimePoint now = Clock::now();
    const TimePoint good = fence.alive(now) ? now : fence.last_heartbeat();
    const auto past = std::max(Clock::duration::zero(), now - std::min(good, entry.expires));
    if (past > settings_.stale_if_error) {
        return std::nullopt;
    }
    return std::chrono::duration_cast<std::chrono::seconds>(past);
}

// A query that began after the newest known change of the tags.
std::shared_ptr<CachedReads::Query> CachedReads::joinable(const Read& read) const {
    const auto found = queries_.find(read.key);
    if (found == queries_.end() || found->second->era != cache_.fence().era() ||
        !cache_.fence().unchanged_since(found->second->known, read.tags)) {
        return nullptr;
    }
    return found->second;
}

Task<Response> CachedReads::miss(Read& read) {
    const std::string status = "muster; fwd=" + std::string(read.forwarded);
    if (const auto query = joinable(read)) {
        const auto landed = co_await query->flight.join(context_, read.question.exchange.deadline);
        if (landed && (!*landed || read.token_seen(*landed->value()))) {
            counters_.shared.add();
            co_return respond_landed(read, *landed, status + "; collapsed");
        }
    }
    Flying flying(*this, read.key);
    if (settings_.l2) {
        if (const auto entry = co_await find_remote(read, flying.era())) {
            counters_.l2_hits.add();
            cache_.store().put(read.key, entry);
            flying.land(entry);
            co_return respond_entry(read, entry, hit(*entry, "l2"));
        }
    }
    counters_.asked.add();
    const Landed landed = co_await ask(read);
    flying.land(landed);
    co_return respond_landed(read, landed, status);
}

// The entry of L2, if it may be served.
Task<cache::EntryPtr> CachedReads::find_remote(const Read& read, Fence::Era era) {
    const std::string key = remote_key(read);
    if (key.empty()) {
        co_return nullptr;
    }
    auto found = co_await remote_.get(key);
    if (!found) {
        co_return nullptr;
    }
    found->era = era;  // noted before its epoch was: if that has passed, the judgement says so
    const TimePoint now = Clock::now();
    if (cache_.fence().judge(found->snapshot, era, read.tags, now) != Fence::Verdict::serve ||
        !read.token_seen(*found)) {
        co_return nullptr;
    }
    co_return std::make_shared<const cache::Entry>(*std::move(found));
}

// Empty while it is not known which server's transaction ids ours are.
std::string CachedReads::remote_key(const Read& read) const {
    const std::string epoch = cache_.fence().epoch();
    const std::string incarnation = cache_.fence().incarnation();
    if (epoch.empty() || incarnation.empty()) {
        return {};
    }
    return "muster:cache:" + epoch + ':' +
           digest_text(incarnation + '\n' + read.question.plan.definition() + '\n' + read.key);
}

// Asks the database and keeps the answer.
Task<CachedReads::Landed> CachedReads::ask(const Read& read) {
    Fence& fence = cache_.fence();
    const CachePlan& plan = read.question.plan;
    const Fence::Era asked = fence.era();
    const TimePoint begun = Clock::now();
    auto fresh = co_await read.question.ask();
    if (!fresh) {
        co_return std::move(fresh).error();
    }
    cache::Entry entry = std::move(fresh.value().entry);
    entry.snapshot = std::move(fresh.value().origin.snapshot);
    const bool found = !entry.body.empty();
    entry.expires = begun + (found ? plan.ttl() : std::min(plan.ttl(), settings_.negative_ttl));
    if (found) {
        entry.etag = '"' + digest_text(entry.body + '\n' + entry.next).substr(0, 32) + '"';
    }
    const auto era = fence.observe(fresh.value().origin.incarnation, asked, Clock::now());
    entry.era = era.value_or(0);
    const auto kept = std::make_shared<const cache::Entry>(std::move(entry));
    if (era && fresh.value().storable) {
        cache_.store().put(read.key, kept);
        const std::string key = settings_.l2 ? remote_key(read) : std::string();
        if (!key.empty() && fence.era() == *era) {
            remote_.put(key, kept);
        }
    }
    co_return cache::EntryPtr(kept);
}

Response CachedReads::respond_landed(const Read& read, const Landed& landed, std::string status) {
    if (landed) {
        return respond_entry(read, landed.value(), std::move(status));
    }
    // With the breaker open an entry past its rule may stand in for an answer.
    if (landed.error().status >= 500 && read.question.refused()) {
        const auto entry = cache_.store().get(read.key);
        const auto past = entry ? staleness(*entry, read) : std::nullopt;
        if (past) {
            counters_.stale.add();
            return respond_entry(read, entry, hit(-*past, "stale"));
        }
    }
    return respond(landed.error());
}

Response CachedReads::respond_entry(const Read& read, const cache::EntryPtr& entry,
                                    std::string status) {
    Response response;
    if (entry->body.empty()) {
        response = respond(404, "there is no such thing");
    } else {
        response.status = entry->status;
        response.headers.emplace_back("ETag", entry->etag);
    }
    // Whoever keeps an answer has to ask again before using it: a 304 is cheap here.
    response.headers.emplace_back("Cache-Control", "private, no-cache");
    response.headers.emplace_back("Vary", "Authorization, X-API-Key");
    response.headers.emplace_back("Cache-Status", std::move(status));
    if (!entry->next.empty()) {
        response.headers.emplace_back(
            "Link", "<" + next_page(read.question.target, entry->next) + ">; rel=\"next\"");
    }
    const auto known = read.question.exchange.header("If-None-Match");
    if (entry->status == 200 && known && none_match_names(*known, entry->etag)) {
        counters_.not_modified.add();
        response.status = 304;
    } else if (!entry->body.empty()) {
        response.view = entry->body;
        response.kept = entry;
    }
    return response;
}

}  // namespace muster::http
