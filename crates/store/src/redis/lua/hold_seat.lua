-- Holds a seat for a while.
-- KEYS: promised, holds of tenant
-- ARGV: time (empty: the server's), queue, from, to, seats as the caller saw them, id, start, hold in ms, holder, source,
--   most of a source, most of a tenant, prefix of holds, tenant
-- Gives 'held'; 'many'; or 'seats' and how they are, when that is not what the caller saw.
local now = clock(ARGV[1])
local before, others, neighbours = '', 0, 0
local held = redis.call('HGETALL', KEYS[2])
for index = 1, #held, 2 do
  local _, _, till, holder, source = unpack(cjson.decode(held[index + 1]))
  if tonumber(till) <= now then
    redis.call('HDEL', KEYS[2], held[index])
  elseif holder == ARGV[9] then
    before = held[index]
  else
    others = others + 1
    if source == ARGV[10] then neighbours = neighbours + 1 end
  end
end
if others >= tonumber(ARGV[12]) or neighbours >= tonumber(ARGV[11]) then return { 'many', '' } end
local seen = seats(KEYS[1], KEYS[2], ARGV[2], ARGV[3], ARGV[4], now, '', before)
if seen ~= ARGV[5] then return { 'seats', seen } end
if before ~= '' then
  redis.call('HDEL', KEYS[2], before)
  redis.call('DEL', ARGV[13] .. before)
end
local till = written(now + tonumber(ARGV[8]))
redis.call('HSET', KEYS[2], ARGV[6], cjson.encode({ ARGV[2], ARGV[7], till, ARGV[9], ARGV[10] }))
redis.call('PEXPIRE', KEYS[2], ARGV[8])
redis.call('SET', ARGV[13] .. ARGV[6], ARGV[14], 'PX', ARGV[8])
return { 'held', '' }
