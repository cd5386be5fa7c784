-- Holds on to what is still this node's; gives the ids.
-- KEYS: wake; ARGV: node, until, prefix of hashes, then ids
local held = {}
for index = 4, #ARGV do
  local hash = ARGV[3] .. ARGV[index]
  if redis.call('HGET', hash, 'node') == ARGV[1] then
    redis.call('HSET', hash, 'until', ARGV[2])
    redis.call('ZADD', KEYS[1], ARGV[2], ARGV[index])
    held[#held + 1] = ARGV[index]
  end
end
return held
