-- Forgets a message.
-- KEYS: messages, its hash; ARGV: id
redis.call('DEL', KEYS[2])
return redis.call('ZREM', KEYS[1], ARGV[1])
