-- An instance lives. Gives the time, whether it was still registered, and who else is.
-- KEYS: relay, instances, instance
-- ARGV: era, number, token, name, pid, host
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('ZSCORE', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[2])
if not known then
  -- Whoever finds it dead the next time must not wait for who did this time.
  redis.call('DEL', KEYS[3] .. ':reaping')
end
redis.call('HSET', KEYS[3], 'token', ARGV[3], 'name', ARGV[4], 'pid', ARGV[5], 'host', ARGV[6])
return { now, known and 1 or 0, redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES') }
