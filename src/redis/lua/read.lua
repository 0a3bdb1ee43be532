-- Entries of a stream from an id on, as many as fit into so many bytes, at least one if there is one.
-- KEYS: relay, stream
-- ARGV: era, time, the first id, bytes
local found, bytes, from = {}, 0, ARGV[3]
while true do
  local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 16)
  for _, entry in ipairs(entries) do
    local size = #entry[2][#entry[2]] + 64
    if #found > 0 and bytes + size > tonumber(ARGV[4]) then
      return found
    end
    found[#found + 1] = entry
    bytes = bytes + size
    from = '(' .. entry[1]
  end
  if #entries < 16 then
    return found
  end
end
