-- Takes what may be sent now, the longest overdue first, and puts it off until the claim is over.
-- KEYS: messages; ARGV: now, until, at most, prefix of hashes
local claimed = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
  local hash = ARGV[4] .. id
  if redis.call('EXISTS', hash) == 1 then
    local tries = redis.call('HINCRBY', hash, 'tries', 1)
    redis.call('ZADD', KEYS[1], ARGV[2], id)
    local kept = redis.call('HMGET', hash, 'kind', 'destination', 'payload')
    claimed[#claimed + 1] = { id, kept[1], kept[2], kept[3], tries }
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return claimed
