-- Journals a call that has started, unless it is known.
-- KEYS: its hash, calls of its process, processes; ARGV: id, process, then fields and values
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('SADD', KEYS[3], ARGV[2])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
