-- Keeps how an instance is and what it did, and forgets what is old. Where memory is full, nothing of it is kept.
-- KEYS: relay, how all are, then the series of each span
-- ARGV: era, time, the instance's name, when it said how it is, how it is, what was said before that is forgotten, how long the hash
-- lasts, then for each span: its beginning, the sample, what began before that is forgotten, how many are kept, how long the series lasts
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4] .. ' ' .. ARGV[5])
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local at = tonumber(string.match(all[i + 1], '^%-?%d+') or '0')
  if at < tonumber(ARGV[6]) then
    redis.call('HDEL', KEYS[2], all[i])
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[7])
for i = 3, #KEYS do
  local at = 8 + (i - 3) * 5
  redis.call('ZADD', KEYS[i], ARGV[at], ARGV[at + 1])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. ARGV[at + 2])
  redis.call('ZREMRANGEBYRANK', KEYS[i], 0, -1 - tonumber(ARGV[at + 3]))
  redis.call('PEXPIRE', KEYS[i], ARGV[at + 4])
end
return 1
