-- Keeps a change, if it was made from the newest version.
-- KEYS: its hash, waiting, wake, open, open of tenant, promised, holds of tenant, own hold,
--   session (may be empty)
-- ARGV: id, version it was made from, does its lease go on, is it over, due, asked, promised, then of the seat it claims:
--   time (empty: the server's), queue, from (empty: it claims none), to, own hold, seats as the caller saw them; then
--   fields and values, its queue first
-- Gives 'missing', 'stale' and what is kept, 'seats' and how they are, when that is not what the caller saw, or 'done' and
-- the fields that are not the caller's.
local was = redis.call('HGET', KEYS[1], 'change')
local function kept()
  local fields = redis.call('HMGET', KEYS[1], 'id', 'manage', 'change', 'node', 'until', 'version', 'row')
  fields[1] = ARGV[1]
  return fields
end
if not was then return { 'missing', {} } end
if was ~= ARGV[2] then return { 'stale', kept() } end

if ARGV[10] ~= '' then
  local seen = seats(KEYS[6], KEYS[7], ARGV[9], ARGV[10], ARGV[11], clock(ARGV[8]), ARGV[1], ARGV[12])
  if seen ~= ARGV[13] then return { 'seats', { seen } } end
  redis.call('HDEL', KEYS[7], ARGV[12])
  redis.call('DEL', KEYS[8])
end

-- Handed to another queue: no seat of the old one is its any more.
local before = redis.call('HGET', KEYS[1], 'queue')
if before and before ~= ARGV[15] then
  local function escaped(part) return (part:gsub('[%%:]', { ['%'] = '%25', [':'] = '%3A' })) end
  redis.call('ZREM', KEYS[6]:sub(1, -1 - #escaped(ARGV[15])) .. escaped(before), ARGV[1])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 14))
redis.call('HINCRBY', KEYS[1], 'change', 1)
local wake = ARGV[5]
if ARGV[3] == '1' then
  wake = redis.call('HGET', KEYS[1], 'until') or wake
else
  redis.call('HDEL', KEYS[1], 'node', 'until')
end
if ARGV[4] == '0' then
  redis.call('ZADD', KEYS[3], wake, ARGV[1])
  redis.call('ZADD', KEYS[4], ARGV[6], ARGV[1])
  redis.call('ZADD', KEYS[5], ARGV[6], ARGV[1])
  redis.call('ZADD', KEYS[6], ARGV[7], ARGV[1])
  redis.call('SET', KEYS[2], ARGV[1])
  if KEYS[9] ~= '' then redis.call('SADD', KEYS[9], ARGV[1]) end
else
  if KEYS[9] ~= '' then redis.call('SREM', KEYS[9], ARGV[1]) end
  for index = 3, 6 do redis.call('ZREM', KEYS[index], ARGV[1]) end
  -- A change of one that was over already: the number may have another by now.
  if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
end
return { 'done', redis.call('HMGET', KEYS[1], 'id', 'manage', 'change', 'node', 'until') }
