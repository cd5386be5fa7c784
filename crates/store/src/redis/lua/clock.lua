-- The time to go by, milliseconds since 1970: the server's own, or what the caller says; and a number as it is written.
local function clock(said)
  if said ~= '' then return tonumber(said) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function written(number) return string.format('%.0f', number) end

