-- Commits changes of the queue: all of them, and only if nobody else has committed since they were made up. Tells those who wait. With
-- them it is kept how far hooks are told of canvases, unless somebody else has told them: then nothing is done.
-- KEYS: relay, state, then for each table its rows and its keys
-- ARGV: era, time, the last commit that is known, this one, who, the time of it, channel, what is told,
--   the version of the hooks from here on ('' as it is, 0: none), how many canvases hooks are told of, then for each: its name, the batch up to
--   which they were told, the one up to which they are;
--   then for each change: 'd' or 'p', the place of its table in KEYS, key, row. Deletions come first: they work where memory is full, and
--   after them the rest does.
local now = clock()
local state = redis.call('HMGET', KEYS[2], 'v', 'owner', 'until')
if (state[1] or '') ~= ARGV[3] then
  return 0
end
if state[2] and state[2] ~= ARGV[5] and (tonumber(state[3] or '') or 0) > now then
  return -1
end
-- What can fail comes first, since a script that ends halfway is not rolled back.
for at = 3, #KEYS, 2 do
  redis.call('HLEN', KEYS[at])
  redis.call('ZCARD', KEYS[at + 1])
end
local changes, heads = 11 + 3 * tonumber(ARGV[10]), {}
for at = 11, changes - 1, 3 do
  -- A canvas that is not there, or is damaged, keeps nothing.
  local head = redis.pcall('HMGET', all .. 'canvas:' .. ARGV[at], 'n', 'told')
  local there = not head.err and head[1]
  -- What is no number says nothing.
  if there and tonumber(head[2] or '0') and (head[2] or '0') ~= ARGV[at + 1] then
    return { (at - 11) / 3, head[2] or '0' }
  end
  heads[at] = there
end
for change = changes, #ARGV, 4 do
  local at, key = tonumber(ARGV[change + 1]), ARGV[change + 2]
  if ARGV[change] == 'd' then
    redis.call('HDEL', KEYS[at], key)
    redis.call('ZREM', KEYS[at + 1], key)
  else
    redis.call('HSET', KEYS[at], key, ARGV[change + 3])
    redis.call('ZADD', KEYS[at + 1], 0, key)
  end
end
for at = 11, changes - 1, 3 do
  if heads[at] then
    redis.call('HSET', all .. 'canvas:' .. ARGV[at], 'told', ARGV[at + 2])
    if heads[at] == ARGV[at + 2] then
      redis.call('SREM', untold, ARGV[at])
    end
  end
end
if ARGV[9] == '0' then
  redis.call('HDEL', KEYS[1], 'hooks')
elseif ARGV[9] ~= '' then
  redis.call('HSET', KEYS[1], 'hooks', ARGV[9])
end
redis.call('HSET', KEYS[2], 'v', ARGV[4], 'at', ARGV[6])
redis.call('HDEL', KEYS[2], 'owner', 'until')
redis.call('PUBLISH', ARGV[7], ARGV[8])
return 1
