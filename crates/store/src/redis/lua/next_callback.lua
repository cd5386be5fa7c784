-- How long until the next one must be looked at, ms; nothing when there is none.
-- KEYS: wake; ARGV: time (empty: the server's)
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not first[2] then return nil end
return written(math.max(0, tonumber(first[2]) - clock(ARGV[1])))
