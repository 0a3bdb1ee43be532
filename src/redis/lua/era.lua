-- Goes before each script that is of an era: KEYS[1] is the relay, ARGV[1] the era that the instance knows, ARGV[2] what time it is
-- on its clock (0: it does not know).
local relay = redis.call('HMGET', KEYS[1], 'era', 'base', 'skew', 'hooks')
-- Whoever comes in again mends a version of the hooks that is none, so that no batch is told to no hook for it, and a base that is
-- gone.
if relay[1] ~= ARGV[1] or not relay[2] or (relay[4] and not tonumber(relay[4])) then
  return redis.error_reply('STALE the relay began anew')
end
-- Since when nothing was lost.
local base = relay[2]
-- The server's clock may step. The instances' clocks count on: no time that is given is further from theirs than a second.
local function clock()
  local time, known = redis.call('TIME'), tonumber(ARGV[2])
  local now = time[1] * 1000 + math.floor(time[2] / 1000) + (tonumber(relay[3] or '0') or 0)
  if known > 0 then
    now = math.min(math.max(now, known - 1000), known + 1000)
  end
  return now
end
-- A write that is allowed where memory is full allows those after it.
local function even_if_full()
  redis.call('HDEL', KEYS[1], '')
end
local function number(value)
  return string.format('%.0f', value)
end
-- What all keys begin with.
local all = string.sub(KEYS[1], 1, -6)
-- The canvases of which hooks may not have been told everything.
local untold = all .. 'untold'
-- Takes a batch into a log, or says why not. Gives its number, and its time with the version of the hooks that are told of it. What can
-- fail comes first, since a script that ends halfway is not rolled back. Before that, asks.before may say why not; asks.after gives what
-- the canvas takes then (see count.lua).
local function keep(canvas, log, now, bytes, asks)
  local head = redis.pcall('HMGET', canvas, 'n', 't', 'saved', 'h', 'left', 'takes', 'epoch')
  if head.err then
    return 'its hash is of another type'
  end
  local n, t = tonumber(head[1] or ''), tonumber(head[2] or '')
  if not n or not t then
    return 'its hash is gone'
  end
  local why = asks and asks.before(n, t, head[6], head[7])
  if why then
    return why
  end
  local whole = n == tonumber(head[3] or '0')
  n, t = number(n + 1), number(math.max(now, t))
  local at = relay[4] and (t .. '/' .. relay[4]) or t
  local added = redis.pcall('XADD', log, 'NOMKSTREAM', n .. '-0', 't', at, 'b', bytes)
  if not added then
    if not whole then
      return 'its log is gone'
    end
    added = redis.call('XADD', log, n .. '-0', 't', at, 'b', bytes)
  end
  if type(added) == 'table' and added.err then
    if not (string.find(added.err, 'WRONGTYPE') or string.find(added.err, ' ID ')) then
      -- The log is as it should be, and Redis does not let this be done.
      error(added.err)
    end
    return 'its log is not its own: ' .. added.err
  end
  -- Each batch is chained to all before it: who has the same hash has had the same batches.
  local h = redis.sha1hex((head[4] or '') .. ' ' .. n .. ' ' .. at .. ' ' .. bytes)
  if asks then
    redis.call('HSET', canvas, 'n', n, 't', t, 'h', h, 'takes', asks.after())
  else
    redis.call('HSET', canvas, 'n', n, 't', t, 'h', h)
  end
  if head[5] then
    redis.call('PERSIST', canvas)
    redis.call('HDEL', canvas, 'left')
  end
  if relay[4] then
    redis.call('SADD', untold, string.sub(canvas, #all + 8))
  end
  return nil, n, at
end
