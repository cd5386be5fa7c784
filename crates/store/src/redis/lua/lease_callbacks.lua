-- Takes what has come to its moment, the longest overdue first.
-- KEYS: due; ARGV: time (empty: the server's), node, hold in ms, at most, prefix of call-backs
-- Gives the time it went by, and ids and values of what was taken.
local now = clock(ARGV[1])
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', written(now), 'LIMIT', 0, ARGV[4])) do
  local value = redis.call('GET', ARGV[5] .. id)
  if value then
    taken[#taken + 1] = take(KEYS[1], ARGV[5], id, value, ARGV[2], now + tonumber(ARGV[3]))
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return { written(now), taken }
