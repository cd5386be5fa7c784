-- Keeps a number that is not to be called; the newer word stays.
-- KEYS: order, said, keys; ARGV: hash, at, key id, said by
local was = redis.call('HGET', KEYS[2], ARGV[1])
if was then redis.call('HINCRBY', KEYS[3], string.match(was, ' (.*)') or '', -1) end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[4] .. ' ' .. ARGV[3])
redis.call('HINCRBY', KEYS[3], ARGV[3], 1)
return 1
