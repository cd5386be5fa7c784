-- Gives a call-back to a node until a moment; gives its id and value.
local function take(due, prefix, id, value, node, till)
  local change, _, _, rest = apart(value)
  value = together(change + 1, till, node, rest)
  redis.call('SET', prefix .. id, value)
  redis.call('ZADD', due, written(till), id)
  return { id, value }
end

