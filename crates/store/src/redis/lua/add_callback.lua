-- Keeps a new call-back, unless the same request came before or the number has an open one at this tenant.
-- KEYS: its hash, request (may be empty), waiting, wake, asked, asked of tenant, open, open of tenant, number, promised,
--   holds of tenant, own hold, session (may be empty)
-- ARGV: id, is it over, wake, asked, promised, most that may be kept, prefix of hashes, then of the seat it claims: time
--   (empty: the server's), queue, from (empty: it claims none), to, own hold, seats as the caller saw them; then fields
--   and values
-- Gives 'new', 'same' or 'open' and what is kept, 'full' and the oldest that may go, or 'seats' and how they are, when
-- that is not what the caller saw.
local prefix = ARGV[7]
local function kept(id)
  local fields = redis.call('HMGET', prefix .. id, 'id', 'manage', 'change', 'node', 'until', 'version', 'row')
  fields[1] = id
  return fields
end
local function known(id) return id and redis.call('EXISTS', prefix .. id) == 1 end

local same = KEYS[2] ~= '' and redis.call('GET', KEYS[2])
if known(same) then return { 'same', kept(same) } end
local open = redis.call('GET', KEYS[3])
if known(open) then return { 'open', kept(open) } end
if known(ARGV[1]) then return { 'same', kept(ARGV[1]) } end
if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[6]) then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[5], 0, 999)) do
    if not redis.call('ZSCORE', KEYS[7], id) then return { 'full', { id } } end
  end
  return { 'full', {} }
end

if ARGV[10] ~= '' then
  local seen = seats(KEYS[10], KEYS[11], ARGV[9], ARGV[10], ARGV[11], clock(ARGV[8]), '', ARGV[12])
  if seen ~= ARGV[13] then return { 'seats', { seen } } end
  redis.call('HDEL', KEYS[11], ARGV[12])
  redis.call('DEL', KEYS[12])
end

redis.call('HSET', KEYS[1], unpack(ARGV, 14))
redis.call('ZADD', KEYS[5], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[6], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[9], ARGV[4], ARGV[1])
if KEYS[2] ~= '' then redis.call('SET', KEYS[2], ARGV[1]) end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[3], ARGV[1])
  redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
  redis.call('ZADD', KEYS[7], ARGV[4], ARGV[1])
  redis.call('ZADD', KEYS[8], ARGV[4], ARGV[1])
  redis.call('ZADD', KEYS[10], ARGV[5], ARGV[1])
  if KEYS[13] ~= '' then redis.call('SADD', KEYS[13], ARGV[1]) end
end
return { 'new', {} }
