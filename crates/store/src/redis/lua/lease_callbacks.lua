-- Takes what has come to its moment, the longest overdue first.
-- KEYS: wake; ARGV: time (empty: the server's), node, hold in ms, at most, prefix of hashes
-- Gives the time it went by, and what was taken.
local now = clock(ARGV[1])
local till = written(now + tonumber(ARGV[3]))
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', written(now), 'LIMIT', 0, ARGV[4])) do
  local hash = ARGV[5] .. id
  if redis.call('EXISTS', hash) == 1 then
    taken[#taken + 1] = take(KEYS[1], hash, id, ARGV[2], till)
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return { written(now), taken }
