-- Keeps a snapshot, if it is younger than the one that is there, and lets go what is older than that one. What comes after it was,
-- or will be, done by these rules.
-- KEYS: relay, canvas, log
-- ARGV: era, n, snapshot, channel, rules
local canvas, log = KEYS[2], KEYS[3]
local known = redis.call('HMGET', canvas, 'n', 'saved', 'rules')
local saved, n = tonumber(known[2] or '0'), tonumber(ARGV[2])
if not known[1] or saved > n or (saved == n and known[3] == ARGV[5]) then
  return 0
end
redis.call('HSET', canvas, 'saved', ARGV[2], 'snapshot', ARGV[3], 'rules', ARGV[5])
redis.call('XTRIM', log, 'MINID', string.format('%.0f', saved + 1) .. '-0')
redis.call('PUBLISH', ARGV[4], 's' .. ARGV[2])
return 1
