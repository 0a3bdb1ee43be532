-- Notes what is on canvases, for those who list them.
-- KEYS: relay, canvases
-- ARGV: era, time, then for each canvas: n, the note
for i = 2, #KEYS do
  local known = redis.pcall('HMGET', KEYS[i], 'n', 'note')
  local n = tonumber(ARGV[i * 2 - 1])
  if not known.err and known[1] and n > tonumber(string.match(known[2] or '', '^%d+') or '-1') then
    redis.call('HSET', KEYS[i], 'note', ARGV[i * 2])
  end
end
return 1
