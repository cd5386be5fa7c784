-- Makes room: forgets a call-back, if it is over.
-- KEYS: its own, request's share (may be empty), over of tenant, numbers' share (may be empty), kept
-- ARGV: id, names in the shares of requests and numbers
if redis.call('ZREM', KEYS[3], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[1])
redis.call('DECR', KEYS[5])
if KEYS[2] ~= '' and redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[1] then redis.call('HDEL', KEYS[2], ARGV[2]) end
if KEYS[4] ~= '' then redis.call('ZREM', KEYS[4], ARGV[3]) end
return 1
