-- Keeps messages that are not there yet, all or none.
-- KEYS: messages; ARGV: prefix of hashes, most that may wait, then of each id, kind, destination, payload, due, tries
-- Gives how many are new, or -1 when there is no room.
local new = {}
for index = 3, #ARGV, 6 do
  if not redis.call('ZSCORE', KEYS[1], ARGV[index]) then new[#new + 1] = index end
end
if redis.call('ZCARD', KEYS[1]) + #new > tonumber(ARGV[2]) then return -1 end
for _, index in ipairs(new) do
  local id = ARGV[index]
  redis.call('HSET', ARGV[1] .. id, 'kind', ARGV[index + 1], 'destination', ARGV[index + 2],
    'payload', ARGV[index + 3], 'tries', ARGV[index + 5])
  redis.call('ZADD', KEYS[1], ARGV[index + 4], id)
end
return #new
