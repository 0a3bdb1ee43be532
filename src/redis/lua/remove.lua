-- Takes an instance out whose clients were turned away, unless it has said something since. Where nobody else is, it is noted when
-- their grace ends.
-- KEYS: instances, instance, its canvases, canvases that somebody is away on, canvases that are to be looked after
-- ARGV: number, its last heartbeat as it was known ('' whatever it is), what instances' names begin with, when the grace ends
local beat = redis.call('ZSCORE', KEYS[1], ARGV[1])
if beat and ARGV[2] ~= '' and tonumber(beat) ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
local live = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, name in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  local held = false
  for _, instance in ipairs(live) do
    held = held or redis.call('SISMEMBER', ARGV[3] .. instance .. ':canvases', name) == 1
  end
  if not held then
    redis.call('ZADD', KEYS[4], ARGV[4], name)
    redis.call('ZADD', KEYS[5], ARGV[4], name)
  end
end
redis.call('DEL', KEYS[2], KEYS[3])
return 1
