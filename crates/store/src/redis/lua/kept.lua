-- A call-back's value, taken apart and put together (kept.rs): its change, until when it is held and by whom (nil when
-- nobody holds it), and the rest. What is too short to be one has never changed: whoever reads it says so.
local function apart(value)
  if #value < (value:byte(1) == 0 and 39 or 63) then return 0, nil, nil, value end
  local change = struct.unpack('>I8', value, 2)
  if value:byte(1) == 0 then return change, nil, nil, value:sub(10) end
  return change, struct.unpack('>I8', value, 10), value:sub(18, 33), value:sub(34)
end
local function together(change, till, node, rest)
  if not node then return '\0' .. struct.pack('>I8', change) .. rest end
  return '\1' .. struct.pack('>I8I8', change, till) .. node .. rest
end
-- The key of another queue or tenant than the caller named.
local function escaped(part) return (part:gsub('[%%:]', { ['%'] = '%25', [':'] = '%3A' })) end

