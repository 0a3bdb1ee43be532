-- Reads rows of the queue by their keys.
-- KEYS: relay, state, the table's rows, its keys
-- ARGV: era, time, the last commit that is known, from, to, 'up' or 'down', how many
local v = redis.call('HGET', KEYS[2], 'v') or ''
if v ~= ARGV[3] then
  return { v }
end
-- Keys are found by their order, which holds only while all have the same score. Somebody may have given one another.
for _, scores in ipairs({ { '-inf', '(0' }, { '(0', '+inf' } }) do
  if redis.call('ZCOUNT', KEYS[4], scores[1], scores[2]) > 0 then
    for _, key in ipairs(redis.call('ZRANGE', KEYS[4], scores[1], scores[2], 'BYSCORE')) do
      redis.call('ZADD', KEYS[4], 0, key)
    end
  end
end
local keys
if ARGV[6] == 'up' then
  keys = redis.call('ZRANGE', KEYS[4], '[' .. ARGV[4], '(' .. ARGV[5], 'BYLEX', 'LIMIT', 0, ARGV[7])
else
  keys = redis.call('ZRANGE', KEYS[4], '(' .. ARGV[5], '[' .. ARGV[4], 'BYLEX', 'REV', 'LIMIT', 0, ARGV[7])
end
local rows = { v, keys }
if #keys > 0 then
  rows[3] = redis.call('HMGET', KEYS[3], unpack(keys))
end
return rows
