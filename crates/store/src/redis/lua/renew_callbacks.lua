-- Holds on to what is still this node's; gives the ids.
-- KEYS: wake; ARGV: time (empty: the server's), node, hold in ms, prefix of hashes, then ids
local till = written(clock(ARGV[1]) + tonumber(ARGV[3]))
local held = {}
for index = 5, #ARGV do
  local hash = ARGV[4] .. ARGV[index]
  if redis.call('HGET', hash, 'node') == ARGV[2] then
    redis.call('HSET', hash, 'until', till)
    redis.call('ZADD', KEYS[1], till, ARGV[index])
    held[#held + 1] = ARGV[index]
  end
end
return held
