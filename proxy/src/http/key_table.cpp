// Bounded tables of digests.
#include "http/key_table.hpp"

#include <cstring>
#include <random>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace muster::http {
namespace {

constexpr std::size_t most_entries = 10000;  // of each table

}  // namespace

Digest digest_of(std::string_view text) {
    // Fetched once: OpenSSL 3 would look the algorithm up for every key.
    static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    Digest digest{};
    unsigned length = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &length, sha256, nullptr) != 1) {
        throw std::runtime_error("SHA-256 failed");
    }
    return digest;
}

DigestHash::DigestHash() {
    std::random_device device;
    seed = (static_cast<std::uint64_t>(device()) << 32) | device();
}

std::size_t DigestHash::operator()(const Digest& digest) const {
    std::uint64_t words[4];
    std::memcpy(words, digest.data(), sizeof words);
    std::uint64_t hash = seed;
    for (std::uint64_t word : words) {
        hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 32;
    }
    return hash;
}

bool DigestEqual::operator()(const Digest& a, const Digest& b) const {
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

template <class Who>
const typename KeyTable<Who>::Entry* KeyTable<Who>::find(const Digest& digest,
                                                         TimePoint now) const {
    const auto found = entries_.find(digest);
    return found == entries_.end() || found->second.until <= now ? nullptr : &found->second;
}

// A key that is asked for again keeps its place in the order until that comes up, and then gets one
// by the younger answer.
template <class Who>
void KeyTable<Who>::insert(const Digest& digest, Entry entry, TimePoint now) {
    const TimePoint until = entry.until;
    if (entries_.insert_or_assign(digest, std::move(entry)).second) {
        order_.emplace_back(digest, until);
    }
    while (!order_.empty() && (order_.front().second <= now || order_.size() > most_entries)) {
        const Digest oldest = order_.front().first;
        order_.pop_front();
        const auto found = entries_.find(oldest);
        if (found->second.until <= now || order_.size() >= most_entries) {
            entries_.erase(found);
        } else {
            order_.emplace_back(oldest, found->second.until);
        }
    }
}

// What leaves later than its place in the order says gets another one there; what leaves sooner is
// not told of until its place comes up.
template <class Who>
void KeyTable<Who>::keep_for(Clock::duration time) {
    for (auto& [digest, entry] : entries_) {
        entry.until = entry.asked + time;
    }
}

template class KeyTable<Owner>;
template class KeyTable<Identity>;

KnownKeys::KnownKeys(std::chrono::milliseconds grace) : keep_(key_lifetime + grace) {}

void KnownKeys::set_grace(std::chrono::milliseconds grace) {
    const std::lock_guard lock(mutex_);
    keep_ = key_lifetime + grace;
    table_.keep_for(keep_);
}

// A key that has ended stays as such, lest an older answer, late, should revive it.
void KnownKeys::learn(const Digest& digest, std::shared_ptr<const Owner> owner, TimePoint asked) {
    const std::lock_guard lock(mutex_);
    const TimePoint now = Clock::now();
    const auto* const before = table_.find(digest, now);
    if (before != nullptr ? before->asked > asked : owner == nullptr) {
        return;
    }
    table_.insert(digest, {std::move(owner), asked, asked + keep_}, now);
}

std::optional<KnownKeys::Known> KnownKeys::find(const Digest& digest, TimePoint now) const {
    const std::lock_guard lock(mutex_);
    const auto* const entry = table_.find(digest, now);
    if (entry == nullptr || entry->who == nullptr) {
        return std::nullopt;
    }
    return *entry;
}

}  // namespace muster::http
