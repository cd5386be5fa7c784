-- Takes numbers off the list of those not to be called; gives how many were on it.
-- KEYS: order, said, keys; ARGV: hashes
local gone = 0
for _, hash in ipairs(ARGV) do
  local was = redis.call('HGET', KEYS[2], hash)
  if was then redis.call('HINCRBY', KEYS[3], string.match(was, ' (.*)') or '', -1) end
  redis.call('HDEL', KEYS[2], hash)
  gone = gone + redis.call('ZREM', KEYS[1], hash)
end
return gone
