-- Says that a snapshot is in force, if it is younger than the one that is, and lets go what is older than that one. What comes after
-- it was, or will be, done by these rules.
-- KEYS: relay, canvas, log, what snapshots' names begin with
-- ARGV: era, time, n, which snapshot ('' if it is here), its parts, the snapshot if it is here, channel, rules, a note of what is on the
-- canvas, 'all' to let go everything older than this snapshot
local canvas, log, n = KEYS[2], KEYS[3], tonumber(ARGV[3])
even_if_full()
local known = redis.call('HMGET', canvas, 'n', 'saved', 'rules', 'snap')
local saved = tonumber(known[2] or '0')
local old = known[4] or ''
if not known[1] or saved > n or (saved == n and known[3] == ARGV[8] and n > 0) then
  if ARGV[4] ~= '' then
    redis.call('UNLINK', KEYS[4] .. ARGV[4])
  end
else
  redis.call('HSET', canvas, 'saved', ARGV[3], 'snap', ARGV[4], 'pieces', ARGV[5], 'rules', ARGV[8], 'note', ARGV[9])
  if ARGV[4] == '' then
    redis.call('HSET', canvas, 'snapshot', ARGV[6])
  else
    redis.call('HDEL', canvas, 'snapshot')
    redis.call('PERSIST', KEYS[4] .. ARGV[4])
  end
  if old ~= '' then
    -- Somebody may be reading it.
    redis.call('EXPIRE', KEYS[4] .. old, ARGV[10] == 'all' and 1 or 60)
  end
  redis.call('PUBLISH', ARGV[7], 's' .. ARGV[3])
end
-- An instance that was cut off for a moment still finds the batches since the snapshot before. One that says the same snapshot again
-- must not take them away.
local upto = (ARGV[10] == 'all' and math.max(n, saved)) or (n > saved and saved) or 0
if known[1] and upto > 0 then
  redis.call('XTRIM', log, 'MINID', number(upto + 1) .. '-0')
end
return 1
