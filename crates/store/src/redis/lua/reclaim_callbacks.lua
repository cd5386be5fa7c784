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
    taken[#taken + 1] = take(KEYS[1], hash, id, ARGV[2], till)
  else
    left = left + 1
  end
end
return { written(now), taken, #ids, left }
