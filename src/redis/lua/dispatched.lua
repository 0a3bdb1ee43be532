-- Hooks were told of everything on canvases up to a batch of theirs: those of which it is the last are not untold any more.
-- KEYS: relay
-- ARGV: era, time, then for each canvas its name and the batch
for at = 3, #ARGV, 2 do
  local n = redis.pcall('HGET', all .. 'canvas:' .. ARGV[at], 'n')
  if n == ARGV[at + 1] then
    even_if_full()
    redis.call('SREM', untold, ARGV[at])
  end
end
return 1
