-- Takes what has come to its moment, the longest overdue first.
-- KEYS: wake; ARGV: now, node, until, at most, prefix of hashes
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[4])) do
  local hash = ARGV[5] .. id
  if redis.call('EXISTS', hash) == 1 then
    redis.call('HSET', hash, 'node', ARGV[2], 'until', ARGV[3])
    redis.call('HINCRBY', hash, 'change', 1)
    redis.call('ZADD', KEYS[1], ARGV[3], id)
    taken[#taken + 1] = redis.call('HMGET', hash, 'id', 'manage', 'change', 'node', 'until', 'version', 'row')
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return taken
