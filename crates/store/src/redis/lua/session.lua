-- The open call-backs of a web session: ids side by side, in one place of a share.
local function part(share, name, id)
  local ids, left = redis.call('HGET', share, name) or '', ''
  for at = 1, #ids, 16 do
    if ids:sub(at, at + 15) ~= id then left = left .. ids:sub(at, at + 15) end
  end
  if left == '' then redis.call('HDEL', share, name) else redis.call('HSET', share, name, left) end
end
local function join(share, name, id)
  part(share, name, id)
  redis.call('HSET', share, name, (redis.call('HGET', share, name) or '') .. id)
end

