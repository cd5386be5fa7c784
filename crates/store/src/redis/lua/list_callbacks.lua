-- The newest of several orders, as if they were one: a few of each, and more only while one of them may have newer ones left.
-- KEYS: orders by asked; ARGV: since, before (both as ZREVRANGEBYSCORE takes them), limit
-- Gives ids.
local limit = tonumber(ARGV[3])
-- Compared as text, bytes would follow the server's language.
local function digits(id) return (id:gsub('.', function(byte) return string.format('%02x', byte:byte()) end)) end
local few = math.min(limit, math.ceil(2 * limit / #KEYS) + 8)
while true do
  local found, unsure = {}, nil
  for _, order in ipairs(KEYS) do
    local rows = redis.call('ZREVRANGEBYSCORE', order, ARGV[2], ARGV[1], 'WITHSCORES', 'LIMIT', 0, few)
    for index = 1, #rows, 2 do found[#found + 1] = { rows[index], tonumber(rows[index + 1]) } end
    if #rows == 2 * few then unsure = math.max(unsure or 0, found[#found][2]) end
  end
  table.sort(found, function(one, other)
    if one[2] ~= other[2] then return one[2] > other[2] end
    return digits(one[1]) > digits(other[1])
  end)
  local last = found[math.min(limit, #found)]
  if not unsure or few >= limit or #found >= limit and last[2] > unsure then
    local ids = {}
    for index = 1, math.min(limit, #found) do ids[index] = found[index][1] end
    return ids
  end
  few = math.min(limit, few * 4)
end
