// Accept-Encoding, zlib, and what is kept.
#include "http/compress.hpp"

#include <algorithm>
#include <charconv>
#include <new>

#include <zlib.h>

namespace muster::http {
namespace {

constexpr int level = 1;
constexpr int gzip_window = 15 + 16;
constexpr int memory = 8;

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return (x >= 'A' && x <= 'Z' ? x - 'A' + 'a' : x) == y;
           });
}

// The weight of "gzip;q=0.5", in thousandths; one that cannot be read is 0.
int weight_of(std::string_view parameters) {
    const std::string_view text = trimmed(parameters);
    if (text.empty()) {
        return 1000;
    }
    if (text.size() < 3 || (text[0] != 'q' && text[0] != 'Q') || text[1] != '=') {
        return 0;
    }
    double weight = 0;
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), weight);
    const bool valid =
        error == std::errc() && end == text.data() + text.size() && weight >= 0 && weight <= 1;
    return valid ? static_cast<int>(weight * 1000) : 0;
}

// One stream a thread, which is begun anew each time.
z_stream& stream() {
    struct Stream {
        z_stream z{};
        Stream() {
            if (deflateInit2(&z, level, Z_DEFLATED, gzip_window, memory, Z_DEFAULT_STRATEGY) !=
                Z_OK) {
                throw std::bad_alloc();
            }
        }
        ~Stream() { deflateEnd(&z); }
        Stream(const Stream&) = delete;
        Stream& operator=(const Stream&) = delete;
    };
    thread_local Stream one;
    deflateReset(&one.z);
    return one.z;
}

}  // namespace

bool accepts_gzip(std::string_view header) {
    std::optional<int> gzip;
    std::optional<int> any;
    std::optional<int> identity;
    while (!header.empty()) {
        const std::size_t comma = std::min(header.find(','), header.size());
        const std::string_view one = trimmed(header.substr(0, comma));
        header.remove_prefix(std::min(comma + 1, header.size()));
        const std::size_t semicolon = std::min(one.find(';'), one.size());
        const std::string_view coding = trimmed(one.substr(0, semicolon));
        const int weight = weight_of(one.substr(std::min(semicolon + 1, one.size())));
        if (same(coding, "gzip") || same(coding, "x-gzip")) {
            gzip = weight;
        } else if (coding == "*") {
            any = weight;
        } else if (same(coding, "identity")) {
            identity = weight;
        }
    }
    const int wanted = gzip ? *gzip : any.value_or(0);
    return wanted > 0 && wanted >= identity.value_or(0);
}

std::string gzip(std::string_view text) {
    z_stream& z = stream();
    std::string out(deflateBound(&z, text.size()), '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    deflate(&z, Z_FINISH);  // the bound has room for all of it
    out.resize(out.size() - z.avail_out);
    out.shrink_to_fit();
    return out;
}

Compressor::Text Compressor::compressed(std::string_view etag, std::string_view body) {
    const std::string key(etag);
    if (const auto found = kept_.find(key); found != kept_.end()) {
        return found->second;
    }
    auto text = std::make_shared<const std::string>(gzip(body));
    if (key.empty() || text->size() > most_bytes / 4) {
        return text;
    }
    bytes_ += text->size();
    kept_.emplace(key, text);
    order_.push_back(key);
    while (bytes_ > most_bytes) {
        const auto oldest = kept_.find(order_.front());
        bytes_ -= oldest->second->size();
        kept_.erase(oldest);
        order_.pop_front();
    }
    return text;
}

void Compressor::apply(const Exchange& exchange, Response& response) {
    const std::string_view body = response.body();
    if (from_ == 0 || body.size() < from_ || body.size() > UINT32_MAX) {
        return;
    }
    response.vary("Accept-Encoding");
    const auto accepted = exchange.header("Accept-Encoding");
    if (!accepted || !accepts_gzip(*accepted)) {
        return;
    }
    const auto etag = std::find_if(response.headers.begin(), response.headers.end(),
                                   [](const auto& header) { return header.first == "ETag"; });
    const bool tagged = etag != response.headers.end();
    const Text text = compressed(tagged ? std::string_view(etag->second) : "", body);
    if (tagged && !etag->second.starts_with("W/")) {
        etag->second.insert(0, "W/");  // the bytes are others, what they mean is not
    }
    response.headers.emplace_back("Content-Encoding", "gzip");
    response.view = *text;
    response.kept = text;
}

}  // namespace muster::http
