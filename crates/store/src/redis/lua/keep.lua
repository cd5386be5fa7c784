-- Writes a call-back and what it is found by. KEYS and ARGV: the first eleven as of add_callback.lua.
local function keep(keys, args)
  local id = args[1]
  redis.call('SET', keys[1], args[2])
  if keys[2] ~= '' then redis.call('HSET', keys[2], args[8], id) end
  if args[3] == '0' then
    redis.call('HSET', keys[3], args[9], id)
    redis.call('ZADD', keys[4], args[4], id)
    redis.call('ZADD', keys[8], args[6], id)
    if keys[11] ~= '' then join(keys[11], args[11], id) end
  end
  redis.call('ZADD', args[3] == '0' and keys[5] or keys[6], args[5], id)
  redis.call('ZADD', keys[7], args[5], args[10])
  redis.call('SADD', keys[9], args[7])
  redis.call('INCR', keys[10])
end

