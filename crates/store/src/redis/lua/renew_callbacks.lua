-- Holds on to what is still this node's; gives the ids.
-- KEYS: due; ARGV: time (empty: the server's), node, hold in ms, prefix of call-backs, then ids
local till = clock(ARGV[1]) + tonumber(ARGV[3])
local held = {}
for index = 5, #ARGV do
  local id = ARGV[index]
  local value = redis.call('GET', ARGV[4] .. id)
  if value then
    local change, _, node, rest = apart(value)
    if node == ARGV[2] then
      redis.call('SET', ARGV[4] .. id, together(change, till, node, rest))
      redis.call('ZADD', KEYS[1], written(till), id)
      held[#held + 1] = id
    end
  end
end
return held
