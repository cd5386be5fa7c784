-- Keeps the record of a call that has ended, unless it has one. Gives whether it did, and the oldest if there are
-- more than may be kept.
-- KEYS: its hash, calls, calls of tenant, heartbeat of its process (when it is closed in the place of a dead one)
-- ARGV: id, started, prefix of calls of processes, most that may be kept, then fields and values
local was = redis.call('HMGET', KEYS[1], 'ended', 'process')
if was[1] == '1' then return { 0 } end
if KEYS[4] and (was[1] ~= '0' or redis.call('EXISTS', KEYS[4]) == 1) then return { 0 } end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
if was[2] then redis.call('SREM', ARGV[3] .. was[2], ARGV[1]) end
if redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[4]) then
  return { 1, redis.call('ZRANGE', KEYS[2], 0, 0)[1] }
end
return { 1 }
