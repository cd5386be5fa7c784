-- A call-back that cannot be read is nobody's until a moment.
-- KEYS: its own, due; ARGV: id, moment
local value = redis.call('GET', KEYS[1])
if not value then return 0 end
local change, _, _, rest = apart(value)
redis.call('SET', KEYS[1], together(change, nil, nil, rest))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
