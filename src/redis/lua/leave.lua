-- An instance gives a canvas up of which it has kept everything. What nobody needs any more goes.
-- KEYS: relay, canvas, log, rows, the instance's canvases, instances, canvases that somebody is away on, totals, names of canvases, canvases
-- that are to be looked after
-- ARGV: era, time, name, n, what is left ('nothing': it was never used; 'deleted'; 'much'), its number, what instances' names begin with,
-- how long what is deleted is remembered (ms), when the grace of who is away ends ('' if nobody is), when its youngest message expires
-- ('' if it has none), then what it takes: log, stored, charged, grown
local now, canvas, log = clock(), KEYS[2], KEYS[3]
even_if_full()
redis.call('SREM', KEYS[5], ARGV[3])
for _, instance in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  if redis.call('SISMEMBER', ARGV[7] .. instance .. ':canvases', ARGV[3]) == 1 then
    return 0
  end
end
if ARGV[9] ~= '' then
  redis.call('ZADD', KEYS[7], ARGV[9], ARGV[3])
end
-- Nobody has it: see due.lua.
redis.call('ZADD', KEYS[10], number(now), ARGV[3])
local known = redis.call('HMGET', canvas, 'n', 'saved', 'snap')
if known[1] ~= ARGV[4] then
  return 0
end
local sums, it = sums_of(KEYS[8]), takes_of(canvas)
settle(sums, it, tonumber(ARGV[4]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14]))
if ARGV[5] == 'nothing' then
  take(sums, it, 0, 0)
  redis.call('UNLINK', canvas, log, KEYS[4])
  redis.call('ZREM', KEYS[9], ARGV[3])
  redis.call('ZREM', KEYS[10], ARGV[3])
else
  it.log_ends = tonumber(ARGV[10]) or 0
  if known[2] == known[1] then
    redis.call('UNLINK', log)
    if ARGV[5] == 'deleted' then
      redis.call('UNLINK', KEYS[4])
      if it.ends == 0 then
        it.ends = now + tonumber(ARGV[8])
      end
    end
  end
  put_takes(it)
end
put_sums(sums)
return 1
