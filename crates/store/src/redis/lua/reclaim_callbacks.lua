-- Takes what a process held that ran where this one runs: its name begins with the same eight bytes.
-- KEYS: due; ARGV: time (empty: the server's), node, hold in ms, pass over so many, look at so many, prefix of call-backs
-- Gives the time it went by, ids and values of what was taken, how many were looked at and how many of them left as they are.
local now = clock(ARGV[1])
local till = now + tonumber(ARGV[3])
local place = ARGV[2]:sub(1, 8)
local taken, left = {}, 0
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', written(till), 'LIMIT', ARGV[4], ARGV[5])
for _, id in ipairs(ids) do
  local value = redis.call('GET', ARGV[6] .. id)
  local holder = value and select(3, apart(value))
  if holder and holder ~= ARGV[2] and holder:sub(1, 8) == place then
    taken[#taken + 1] = take(KEYS[1], ARGV[6], id, value, ARGV[2], till)
  else
    left = left + 1
  end
end
return { written(now), taken, #ids, left }
