-- The grace of those who are away is over on canvases that nobody has loaded: time passes there, and nobody is on them.
-- KEYS: relay, instances, canvases that somebody is away on
-- ARGV: era, time, what instances' names begin with, a batch that lets time pass, what names of canvases and logs begin with
local now = clock()
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', number(now), 'LIMIT', 0, 64)
if #due == 0 then
  return 0
end
even_if_full()
local live = redis.call('ZRANGE', KEYS[2], 0, -1)
for _, name in ipairs(due) do
  redis.call('ZREM', KEYS[3], name)
  local held = false
  for _, instance in ipairs(live) do
    held = held or redis.call('SISMEMBER', ARGV[3] .. instance .. ':canvases', name) == 1
  end
  if not held and redis.call('EXISTS', ARGV[5] .. name) == 1 then
    local canvas = ARGV[5] .. name
    local why, n = keep(canvas, ARGV[6] .. name, now, ARGV[4])
    local note = redis.pcall('HGET', canvas, 'note')
    if not why and type(note) == 'string' then
      -- Its end is how many are here.
      redis.call('HSET', canvas, 'note', (string.gsub(string.gsub(note, '^%d+', n), '%d+$', '0')))
    end
  end
end
return #due
