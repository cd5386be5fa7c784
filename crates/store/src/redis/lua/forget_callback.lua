-- Makes room: forgets a call-back, if it is over.
-- KEYS: its hash, request (may be empty), asked, asked of tenant, number, open; ARGV: id
if redis.call('ZSCORE', KEYS[6], ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
if KEYS[2] ~= '' and redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
for index = 3, 5 do redis.call('ZREM', KEYS[index], ARGV[1]) end
return 1
