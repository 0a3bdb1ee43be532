-- Keeps messages that clients may resume from, behind those that are kept. Gives where they end; nothing is done if they do not follow.
-- KEYS: relay, canvas, rows
-- ARGV: era, time, where they ended, where they end now (epoch and seq), its seq, bytes, the oldest seq that is of use, for how long (ms)
even_if_full()
local ended = redis.call('HGET', KEYS[2], 'rows') or ''
if ended ~= ARGV[3] or redis.call('EXISTS', KEYS[2]) == 0 then
  return ended
end
if string.sub(ended, 1, 16) ~= string.sub(ARGV[4], 1, 16) then
  redis.call('UNLINK', KEYS[3])
end
redis.call('XTRIM', KEYS[3], 'MINID', ARGV[7])
redis.call('XADD', KEYS[3], ARGV[5] .. '-0', 'b', ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[8])
redis.call('HSET', KEYS[2], 'rows', ARGV[4])
return ARGV[4]
