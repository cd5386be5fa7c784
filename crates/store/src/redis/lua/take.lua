-- Gives a call-back to a node until a moment; gives it as it is read. A row does not repeat its id.
local function take(wake, hash, id, node, till)
  redis.call('HSET', hash, 'node', node, 'until', till)
  redis.call('HINCRBY', hash, 'change', 1)
  redis.call('ZADD', wake, till, id)
  local kept = redis.call('HMGET', hash, 'id', 'manage', 'change', 'node', 'until', 'version', 'row')
  kept[1] = id
  return kept
end

