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
while true do
  local keys
  if ARGV[6] == 'up' then
    keys = redis.call('ZRANGE', KEYS[4], '[' .. ARGV[4], '(' .. ARGV[5], 'BYLEX', 'LIMIT', 0, ARGV[7])
  else
    keys = redis.call('ZRANGE', KEYS[4], '(' .. ARGV[5], '[' .. ARGV[4], 'BYLEX', 'REV', 'LIMIT', 0, ARGV[7])
  end
  if #keys == 0 then
    return { v, keys }
  end
  local rows, stray = redis.call('HMGET', KEYS[3], unpack(keys)), false
  for at, key in ipairs(keys) do
    if not rows[at] then
      -- Somebody removed the row, or put the key there.
      redis.call('ZREM', KEYS[4], key)
      stray = true
    end
  end
  if not stray then
    return { v, keys, rows }
  end
end
