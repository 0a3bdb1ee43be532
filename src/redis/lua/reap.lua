-- Turns the clients of a dead instance away on some of its canvases, which nobody loads for it. Where nobody else is, it is noted when
-- their grace ends.
-- KEYS: relay, instances, canvases that somebody is away on, canvases that are to be looked after
-- ARGV: era, time, number of the dead, what instances' names begin with, when the grace ends, a batch that turns them away, what names of
-- canvases, logs and channels begin with, then names
local now = clock()
even_if_full()
local own, live = ARGV[4] .. ARGV[3] .. ':canvases', {}
for _, instance in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if instance ~= ARGV[3] then
    live[#live + 1] = ARGV[4] .. instance .. ':canvases'
  end
end
local failed = {}
for i = 10, #ARGV do
  local name = ARGV[i]
  local canvas = ARGV[7] .. name
  local note = redis.pcall('HGET', canvas, 'note')
  local before = redis.pcall('HGET', canvas, 'n')
  local why, n, t = keep(canvas, ARGV[8] .. name, now, ARGV[6])
  if why then
    failed[#failed + 1] = name
  else
    redis.call('PUBLISH', ARGV[9] .. name, 'b' .. n .. ' ' .. t .. ' ' .. ARGV[6])
    if type(note) == 'string' and string.match(note, '^%d+') == before then
      redis.call('HSET', canvas, 'note', (string.gsub(note, '^%d+', n)))
    end
    local held = false
    for _, set in ipairs(live) do
      held = held or redis.call('SISMEMBER', set, name) == 1
    end
    if not held then
      redis.call('ZADD', KEYS[3], ARGV[5], name)
      redis.call('ZADD', KEYS[4], number(now), name)
    end
  end
  redis.call('SREM', own, name)
end
return failed
