-- Keeps a new call-back, unless the same request came before or the number has an open one at this tenant.
-- KEYS: its own, request's share (may be empty), waits' share, due, live and over of tenant, numbers' share, seats of
--   queue, tenants, kept, session's share (may be empty), holds of tenant, own hold
-- ARGV: id, value, is it over, due, asked, promised, tenant, names in the shares of requests, waits, numbers and sessions,
--   most that may be kept, prefixes of call-backs and of over, then of the seat it claims: time (empty: the server's), queue, from
--   (empty: it claims none), to, own hold, seats as the caller saw them
-- Gives 'new'; 'same' or 'open', the id and value of what is kept; 'full' and tenant and id of the oldest that may go; or
-- 'seats' and how they are, when that is not what the caller saw.
local id = ARGV[1]
local function known(what, one)
  local value = one and redis.call('GET', ARGV[13] .. one)
  return value and { what, one, value }
end

local found = KEYS[2] ~= '' and known('same', redis.call('HGET', KEYS[2], ARGV[8]))
  or known('open', redis.call('HGET', KEYS[3], ARGV[9])) or known('same', id)
if found then return found end
if tonumber(redis.call('GET', KEYS[10]) or 0) >= tonumber(ARGV[12]) then
  local oldest, asked = { 'full' }, math.huge
  for _, tenant in ipairs(redis.call('SMEMBERS', KEYS[9])) do
    local first = redis.call('ZRANGE', ARGV[14] .. escaped(tenant), 0, 0, 'WITHSCORES')
    if first[2] and tonumber(first[2]) < asked then oldest, asked = { 'full', tenant, first[1] }, tonumber(first[2]) end
  end
  return oldest
end

if ARGV[17] ~= '' then
  local seen = seats(KEYS[8], KEYS[12], ARGV[16], ARGV[17], ARGV[18], clock(ARGV[15]), '', ARGV[19])
  if seen ~= ARGV[20] then return { 'seats', seen } end
  redis.call('HDEL', KEYS[12], ARGV[19])
  redis.call('DEL', KEYS[13])
end

keep(KEYS, ARGV)
return { 'new' }
