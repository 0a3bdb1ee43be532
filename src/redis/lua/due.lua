-- Looks after canvases that no instance has and on which something is due: what has expired is charged no more; those that nobody wrote to
-- go, and those that were deleted long ago. Gives the names of those that nobody has used for too long.
-- KEYS: relay, instances, totals, names of canvases, canvases that are to be looked after, canvases that somebody is away on
-- ARGV: era, time, what instances' names begin with, what names of canvases, logs, messages and snapshots begin with, how long a message is
-- kept (ms), how long nobody must have used it ('': it is never emptied), for how long who is told to empty it has that to itself (ms)
local now = clock()
local due = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', number(now), 'LIMIT', 0, 64)
if #due == 0 then
  return {}
end
even_if_full()
local sums, live, unused = sums_of(KEYS[3]), redis.call('ZRANGE', KEYS[2], 0, -1), {}
local ttl, idle = tonumber(ARGV[8]), tonumber(ARGV[9])
local function is_held(name)
  for _, instance in ipairs(live) do
    if redis.call('SISMEMBER', ARGV[3] .. instance .. ':canvases', name) == 1 then
      return true
    end
  end
end
local function remove(name, it)
  take(sums, it, 0, 0)
  local snapshot = redis.call('HGET', it.canvas, 'snap') or ''
  if snapshot ~= '' then
    redis.call('UNLINK', ARGV[7] .. name .. ':' .. snapshot)
  end
  redis.call('UNLINK', it.canvas, ARGV[5] .. name, ARGV[6] .. name)
  redis.call('ZREM', KEYS[4], name)
end
-- When it is to be looked at again; nothing if only somebody who comes changes anything.
local function look(name, it)
  if redis.call('ZSCORE', KEYS[6], name) or redis.call('SISMEMBER', untold, name) == 1 then
    return now + 1000
  end
  if it.fresh == 1 or (it.ends > 0 and it.ends <= now) then
    return remove(name, it)
  end
  local log_ends = it.log_ends > 0 and it.log_ends or it.t + ttl
  if it.log > 0 and log_ends <= now then
    take(sums, it, 0, it.stored)
    put_takes(it)
  end
  local next = it.ends > 0 and it.ends or nil
  if it.log > 0 then
    next = math.min(next or log_ends, log_ends)
  end
  if idle and it.ends == 0 then
    if it.used + idle <= now then
      unused[#unused + 1] = name
      return now + tonumber(ARGV[10])
    end
    next = math.min(next or it.used + idle, it.used + idle)
  end
  return next
end
for _, name in ipairs(due) do
  redis.call('ZREM', KEYS[5], name)
  -- Whoever has it says so when it gives it up.
  if not is_held(name) then
    local canvas, next = ARGV[4] .. name, nil
    local it = takes_of(canvas)
    if it then
      next = look(name, it)
    elseif redis.call('EXISTS', canvas) == 0 then
      redis.call('ZREM', KEYS[4], name)
    end
    if next then
      redis.call('ZADD', KEYS[5], number(next), name)
    end
  end
end
put_sums(sums)
return unused
