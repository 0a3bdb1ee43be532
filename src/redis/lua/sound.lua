-- Sets keys aside under another name that are not of their kind: somebody has overwritten them. They are made anew by
-- whoever needs them. The same with what must be a number and is none: it is removed. Where the list of canvases or a
-- sum is gone, all canvases are counted again soon, and come into it. Gives what was set aside or removed.
-- Instances are numbers: other members are removed.
-- KEYS: names of canvases, totals, relay, instances, instances that are waited for, then any that are to be looked at
-- ARGV: what is put behind a name, the version of the hooks as far as the process knows it (0: none), then for each key
-- its kind
local found = {}
for at, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= ARGV[at + 2] then
    redis.call('RENAME', key, key .. ARGV[1])
    redis.call('EXPIRE', key .. ARGV[1], 604800)
    found[#found + 1] = key
  end
end
local function members(key, list, remove)
  for _, member in ipairs(redis.call(unpack(list))) do
    if not string.match(member, '^%d+$') then
      redis.call(remove, key, member)
      found[#found + 1] = key .. ' ' .. member
    end
  end
end
members(KEYS[4], { 'ZRANGE', KEYS[4], 0, -1 }, 'ZREM')
members(KEYS[5], { 'SMEMBERS', KEYS[5] }, 'SREM')
local function numbers(key, fields)
  for at, value in ipairs(redis.call('HMGET', key, unpack(fields))) do
    if value and not tonumber(value) then
      redis.call('HDEL', key, fields[at])
      found[#found + 1] = key .. ' ' .. fields[at]
    end
  end
end
numbers(KEYS[3], { 'commits', 'skew', 'since', 'last_instance' })
local hooks = redis.call('HGET', KEYS[3], 'hooks')
if hooks and not tonumber(hooks) then
  if ARGV[2] == '0' then
    redis.call('HDEL', KEYS[3], 'hooks')
  else
    redis.call('HSET', KEYS[3], 'hooks', ARGV[2])
  end
  found[#found + 1] = KEYS[3] .. ' hooks'
end
local sound = #found
numbers(KEYS[2], { 'log', 'stored', 'walk', 'walk_log', 'walk_stored', 'walker_until', 'recounted' })
if #found > sound or redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HDEL', KEYS[2], 'recounted')
end
return found
