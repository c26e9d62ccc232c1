// The scripts. Lua's numbers are exact up to 2^53, which microseconds reach in the year 2255; but
// its tostring() rounds to 14 digits, so times are written with %.0f.
#include "limit/lease_script.hpp"

namespace muster::limit {

const std::string_view lease_script = R"lua(
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local wanted, least, passed = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
arrival = arrival + math.ceil(passed * 1000000 / rate)
local there = math.floor((now + burst * 1000000 / rate - arrival) * rate / 1000000)
local granted = math.min(wanted, there)
if granted < least then
    granted = 0
end
arrival = arrival + math.ceil(granted * 1000000 / rate)
if granted > 0 or passed > 0 then
    redis.call('SET', KEYS[1], string.format('%.0f', arrival),
               'PX', string.format('%.0f', math.ceil((arrival - now) / 1000) + 1))
end
return {granted, arrival - now}
)lua";

const std::string_view presence_script = R"lua(
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - ARGV[2]))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(ARGV[2] / 1000)))
return redis.call('ZCARD', KEYS[1])
)lua";

}  // namespace muster::limit
