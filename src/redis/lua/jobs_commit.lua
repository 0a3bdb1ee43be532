-- Commits changes of the queue: all of them, and only if nobody else has committed since they were made up. Tells those who wait.
-- KEYS: relay, state, then for each table its rows and its keys
-- ARGV: era, time, the last commit that is known, this one, who, the time of it, channel, what is told,
--   then for each change: 'd' or 'p', the place of its table in KEYS, key, row. Deletions come first: they work where memory is full, and
--   after them the rest does.
local now = clock()
local state = redis.call('HMGET', KEYS[2], 'v', 'owner', 'until')
if (state[1] or '') ~= ARGV[3] then
  return 0
end
if state[2] and state[2] ~= ARGV[5] and tonumber(state[3]) > now then
  return -1
end
for change = 9, #ARGV, 4 do
  local at, key = tonumber(ARGV[change + 1]), ARGV[change + 2]
  if ARGV[change] == 'd' then
    redis.call('HDEL', KEYS[at], key)
    redis.call('ZREM', KEYS[at + 1], key)
  else
    redis.call('HSET', KEYS[at], key, ARGV[change + 3])
    redis.call('ZADD', KEYS[at + 1], 0, key)
  end
end
redis.call('HSET', KEYS[2], 'v', ARGV[4], 'at', ARGV[6])
redis.call('HDEL', KEYS[2], 'owner', 'until')
redis.call('PUBLISH', ARGV[7], ARGV[8])
return 1
