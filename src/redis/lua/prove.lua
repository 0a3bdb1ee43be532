-- In a new era an instance says whether all that it knows is there. When all have said so, nothing was lost; until then nothing is
-- done. Who says nothing for too long may know of something that is lost.
-- KEYS: relay, instances that are waited for
-- ARGV: era, time, number, commits that it has seen, 'whole' or 'less', how long to wait for the others (ms)
local known = redis.call('HMGET', KEYS[1], 'proof', 'commits', 'since')
if known[1] == 'lost' then
  return 'lost'
end
even_if_full()
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = tonumber(known[3] or '')
if not since then
  -- Somebody removed it: it is waited for as long again.
  since = now
  redis.call('HSET', KEYS[1], 'since', string.format('%.0f', now))
end
local waited = now - since
redis.call('SREM', KEYS[2], ARGV[3])
local silent = redis.call('SCARD', KEYS[2]) > 0
local less = ARGV[5] ~= 'whole' or tonumber(ARGV[4]) > (tonumber(known[2] or '') or 0)
if less or (known[1] ~= 'kept' and silent and (waited > tonumber(ARGV[6]) or waited < 0)) then
  -- Also when the others thought otherwise: then they have not heard of this one.
  redis.call('HSET', KEYS[1], 'proof', 'lost', 'base', ARGV[1])
  return 'lost'
end
if known[1] == 'kept' or not silent then
  redis.call('HSET', KEYS[1], 'proof', 'kept')
  return 'kept'
end
return ''
