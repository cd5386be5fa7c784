-- Counts an amount, if no more than may be is used then. Gives 1 and what is used now, or 0 and what is used.
-- KEYS: counter; ARGV: amount, most, its life in ms
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
if used + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return { 0, used } end
used = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { 1, used }
