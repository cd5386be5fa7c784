-- Puts a message off, if it is there.
-- KEYS: messages; ARGV: id, when
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return 1
