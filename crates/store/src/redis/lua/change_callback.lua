-- Keeps a change, if it was made from the newest version.
-- KEYS: its own, waits' share, due, live and over of tenant, seats of queue, holds of tenant, own hold,
--   session's share (may be empty)
-- ARGV: id, version it was made from, does its lease go on, is it over, due, asked, promised, name in the share of waits,
--   queue, row, prefix of the tenant's seats, then of the seat it claims: time (empty: the server's), queue, from (empty: it
--   claims none), to, own hold, seats as the caller saw them; name in the
--   share of sessions
-- Gives 'missing'; 'stale' or 'done' and the value; or 'seats' and how they are, when that is not what the caller saw.
local id, queue = ARGV[1], ARGV[9]
local value = redis.call('GET', KEYS[1])
if not value then return { 'missing' } end
local change, till, node, rest = apart(value)
if change ~= tonumber(ARGV[2]) then return { 'stale', value } end

if ARGV[14] ~= '' then
  local seen = seats(KEYS[6], KEYS[7], ARGV[13], ARGV[14], ARGV[15], clock(ARGV[12]), id, ARGV[16])
  if seen ~= ARGV[17] then return { 'seats', seen } end
  redis.call('HDEL', KEYS[7], ARGV[16])
  redis.call('DEL', KEYS[8])
end

-- Handed to another queue: no seat of the old one is its any more.
local before = rest:sub(31, 30 + struct.unpack('>I2', rest, 29))
if before ~= queue then redis.call('ZREM', ARGV[11] .. escaped(before), id) end
if ARGV[3] ~= '1' then node = nil end
value = together(change + 1, till, node, rest:sub(1, 28) .. struct.pack('>I2', #queue) .. queue .. ARGV[10])
redis.call('SET', KEYS[1], value)
if ARGV[4] == '0' then
  redis.call('ZADD', KEYS[3], node and written(till) or ARGV[5], id)
  redis.call('ZREM', KEYS[5], id)
  redis.call('ZADD', KEYS[4], ARGV[6], id)
  redis.call('ZADD', KEYS[6], ARGV[7], id)
  redis.call('HSET', KEYS[2], ARGV[8], id)
  if KEYS[9] ~= '' then join(KEYS[9], ARGV[18], id) end
else
  if KEYS[9] ~= '' then part(KEYS[9], ARGV[18], id) end
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  redis.call('ZADD', KEYS[5], ARGV[6], id)
  redis.call('ZREM', KEYS[6], id)
  -- A change of one that was over already: the number may have another by now.
  if redis.call('HGET', KEYS[2], ARGV[8]) == id then redis.call('HDEL', KEYS[2], ARGV[8]) end
end
return { 'done', value }
