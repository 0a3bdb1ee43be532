-- Counts again what canvases take, some at a time, while everything goes on: the sums may have drifted where keys were changed by hand.
-- Gives 0 where somebody else does that, or nothing is to be done.
-- KEYS: relay, totals, instances, names of canvases, canvases that are to be looked after
-- ARGV: era, time, number, 'begin' (then: rules, how long a count is good (ms)), 'count' or 'names' (then: the walk, what names of instances
-- and of canvases begin with, names), 'end' (then: the walk, rules)
local now, what = clock(), ARGV[4]
local known = redis.call('HMGET', KEYS[2], 'walk', 'walker', 'walker_until', 'recounted', 'recounted_by')
even_if_full()
if what == 'begin' then
  local fresh = known[5] == ARGV[5] and math.abs(now - tonumber(known[4] or '0')) < tonumber(ARGV[6])
  if fresh or (known[1] and known[2] ~= ARGV[3] and (tonumber(known[3] or '') or 0) > now) then
    return 0
  end
  -- No canvas was counted by that name.
  local walk = number(now)
  redis.call('HSET', KEYS[2], 'walk', walk, 'walk_log', 0, 'walk_stored', 0, 'walker', ARGV[3],
    'walker_until', number(now + 10000))
  return tonumber(walk)
end
local walk = ARGV[5]
if known[1] ~= walk or known[2] ~= ARGV[3] then
  return 0
end
if what == 'end' then
  local sums = sums_of(KEYS[2])
  redis.call('HSET', KEYS[2], 'log', number(sums.walk_log), 'stored', number(sums.walk_stored), 'recounted', number(now),
    'recounted_by', ARGV[6])
  redis.call('HDEL', KEYS[2], 'walk', 'walk_log', 'walk_stored', 'walker', 'walker_until')
  return { sums.log - sums.walk_log, sums.stored - sums.walk_stored }
end
redis.call('HSET', KEYS[2], 'walker_until', number(now + 10000))
if what == 'names' then
  for i = 8, #ARGV do
    if redis.call('EXISTS', ARGV[7] .. ARGV[i]) == 0 then
      redis.call('ZREM', KEYS[4], ARGV[i])
      redis.call('ZREM', KEYS[5], ARGV[i])
    end
  end
  return 1
end
local sums, live = sums_of(KEYS[2]), redis.call('ZRANGE', KEYS[3], 0, -1)
for i = 8, #ARGV do
  local name = ARGV[i]
  local it = takes_of(ARGV[7] .. name)
  if it and redis.call('HGET', it.canvas, 'walk') ~= walk then
    redis.call('HSET', it.canvas, 'walk', walk)
    sums.walk_log, sums.walk_stored, sums.changed = sums.walk_log + it.log, sums.walk_stored + it.stored, true
    redis.call('ZADD', KEYS[4], 0, name)
    local held = false
    for _, instance in ipairs(live) do
      held = held or redis.call('SISMEMBER', ARGV[6] .. instance .. ':canvases', name) == 1
    end
    if not held and not redis.call('ZSCORE', KEYS[5], name) then
      redis.call('ZADD', KEYS[5], number(now), name)
    end
  end
end
put_sums(sums)
return 1
