-- Removes a canvas that can't be read.
-- KEYS: relay, canvas, log, rows, totals, names of canvases, canvases that are to be looked after
-- ARGV: era, time, name
even_if_full()
local sums, it = sums_of(KEYS[5]), takes_of(KEYS[2])
if it then
  take(sums, it, 0, 0)
  put_sums(sums)
end
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
redis.call('ZREM', KEYS[6], ARGV[3])
redis.call('ZREM', KEYS[7], ARGV[3])
return 1
