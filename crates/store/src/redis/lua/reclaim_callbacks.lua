-- Takes what a process held that ran where this one runs: its name begins with the same sixteen digits.
-- KEYS: wake; ARGV: time (empty: the server's), node, hold in ms, pass over so many, look at so many, prefix of hashes
-- Gives the time it went by, what was taken, how many were looked at and how many of them left as they are.
local now = clock(ARGV[1])
local till = written(now + tonumber(ARGV[3]))
local place = string.sub(ARGV[2], 1, 16)
local taken, left = {}, 0
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', till, 'LIMIT', ARGV[4], ARGV[5])
for _, id in ipairs(ids) do
  local hash = ARGV[6] .. id
  local holder = redis.call('HGET', hash, 'node')
  if holder and holder ~= ARGV[2] and string.sub(holder, 1, 16) == place then
    redis.call('HSET', hash, 'node', ARGV[2], 'until', till)
    redis.call('HINCRBY', hash, 'change', 1)
    redis.call('ZADD', KEYS[1], till, id)
    local kept = redis.call('HMGET', hash, 'id', 'manage', 'change', 'node', 'until', 'version', 'row')
    kept[1] = id
    taken[#taken + 1] = kept
  else
    left = left + 1
  end
end
return { written(now), taken, #ids, left }
