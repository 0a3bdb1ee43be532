-- Canvases that no live instance has, and of which hooks may not have been told everything: some of those from a place on, and the next
-- place; 0 at the end.
-- KEYS: relay, instances
-- ARGV: era, time, what instances' names begin with, the place
local found = redis.call('SSCAN', untold, ARGV[4], 'COUNT', 256)
local live, alone = redis.call('ZRANGE', KEYS[2], 0, -1), {}
for _, name in ipairs(found[2]) do
  local held = false
  for _, instance in ipairs(live) do
    held = held or redis.call('SISMEMBER', ARGV[3] .. instance .. ':canvases', name) == 1
  end
  if redis.call('EXISTS', all .. 'canvas:' .. name) == 0 then
    even_if_full()
    redis.call('SREM', untold, name)
  elseif not held then
    alone[#alone + 1] = name
  end
end
return { found[1], alone }
