-- The seats of a queue that start from one moment on and before another: open call-backs but for one, and what is held
-- now but for one hold. Gives their starts in order, as one text; which of them leave a seat is judged by the caller.
local function seats(promised, holds, queue, from, to, now, callback, hold)
  local starts = {}
  local rows = redis.call('ZRANGEBYSCORE', promised, from, '(' .. to, 'WITHSCORES')
  for index = 1, #rows, 2 do
    if rows[index] ~= callback then starts[#starts + 1] = rows[index + 1] end
  end
  local held = redis.call('HGETALL', holds)
  for index = 1, #held, 2 do
    local of, start, till = unpack(cjson.decode(held[index + 1]))
    local is_there = of == queue and tonumber(start) >= tonumber(from) and tonumber(start) < tonumber(to)
    if is_there and tonumber(till) > now and held[index] ~= hold then starts[#starts + 1] = start end
  end
  table.sort(starts)
  return table.concat(starts, ' ')
end

