-- An instance lives. Gives the time, whether it was still registered, the relay's count of commits, who else is, what
-- is to be corrected of the server's clock, how many canvases it is known to have, and the version of the hooks.
-- KEYS: relay, instances, instance, its canvases
-- ARGV: era, time, number, token, name, pid, host, then the relay's name, the format and the rules, by which others know what the
-- relay is
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + (tonumber(relay[3] or '0') or 0)
-- Nobody is dead for lack of memory.
even_if_full()
local known = redis.call('ZSCORE', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[2], clock(), ARGV[3])
if not known then
  -- Whoever finds it dead the next time must not wait for who did this time.
  redis.call('DEL', KEYS[3] .. ':reaping')
end
redis.call('HSET', KEYS[3], 'token', ARGV[4], 'name', ARGV[5], 'pid', ARGV[6], 'host', ARGV[7],
  'relay', ARGV[8], 'format', ARGV[9], 'rules', ARGV[10])
return { now, known and 1 or 0, tonumber(redis.call('HGET', KEYS[1], 'commits') or '0') or 0,
  redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'), tonumber(relay[3] or '0') or 0,
  redis.call('SCARD', KEYS[4]), tonumber(relay[4] or '0') or 0 }
