-- Gives a canvas to an instance, creating it if it is new: where it is, and its snapshot if that is small.
-- KEYS: relay, canvas, log, the instance's canvases, instances, totals, names of canvases
-- ARGV: era, time, name, the epoch of a new canvas, a batch that begins a new epoch, channel, rules, a name to set aside under,
-- 'whole' or 'head', how many canvases there may be ('': any number), what instances' names begin with
local now, canvas, log = clock(), KEYS[2], KEYS[3]
if ARGV[10] ~= '' and redis.call('EXISTS', canvas) == 0 and not redis.call('ZSCORE', KEYS[7], ARGV[3]) then
  local there = redis.call('ZCARD', KEYS[7])
  if there >= tonumber(ARGV[10]) then
    return redis.error_reply('MANY ' .. there)
  end
end
even_if_full()
local function known()
  return redis.call('HMGET', canvas, 'n', 'h', 't', 'base', 'epoch', 'saved', 'rules', 'pieces', 'snap', 'rows', 'told', 'takes')
end
local it = known()
if not it[1] then
  if ARGV[9] == 'head' and redis.call('SISMEMBER', KEYS[4], ARGV[3]) == 1 then
    return redis.error_reply('ERR its hash is gone')
  end
  -- Somebody removed its hash, if another instance has it: that puts it back. Of what this one has of it, it says itself that it is of no use.
  redis.call('SREM', KEYS[4], ARGV[3])
  -- For a dead one nobody waits: its clients can't be turned away before the canvas is there. 10 s: HEARTBEAT_STALE.
  for _, instance in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], number(now - 10000), '+inf')) do
    if redis.call('SISMEMBER', ARGV[11] .. instance .. ':canvases', ARGV[3]) == 1 then
      redis.call('PUBLISH', ARGV[6], 'm-')
      return redis.error_reply('TRYAGAIN its keys are gone, and another process puts them back')
    end
  end
  local n, t = '0', number(now)
  local first = redis.pcall('XRANGE', log, '-', '+', 'COUNT', 1)
  if not first.err and first[1] and first[1][1] == '1-0' then
    -- Somebody removed the hash; but all that was ever done is there.
    local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
    n, t = string.gsub(last[1], '-.*', ''), string.gsub(last[2][2], '/.*', '')
  elseif redis.call('EXISTS', log) == 1 then
    -- A log whose beginning nobody has.
    redis.call('RENAME', log, log .. ARGV[8])
    redis.call('EXPIRE', log .. ARGV[8], 604800)
  end
  redis.call('HSET', canvas, 'n', n, 't', t, 'h', '', 'base', n == '0' and base or '', 'epoch', ARGV[4], 'rules', ARGV[7])
  local takes = takes_in(canvas, n, now, nil)
  if n == '0' then
    takes.fresh = 1
  end
  redis.call('HSET', canvas, 'takes', takes_out(takes), 'walk', redis.call('HGET', KEYS[6], 'walk') or '')
  it = known()
end
redis.call('SADD', KEYS[4], ARGV[3])
redis.call('ZADD', KEYS[7], 0, ARGV[3])
if it[4] ~= base then
  local why, n, t = keep(canvas, log, now, ARGV[5])
  if why then
    return redis.error_reply('ERR ' .. why)
  end
  redis.call('HSET', canvas, 'base', base)
  redis.call('PUBLISH', ARGV[6], 'b' .. n .. ' ' .. t .. ' ' .. ARGV[5])
  it = known()
end
local takes = takes_in(canvas, it[1], tonumber(it[3]), it[12])
local snapshot = ARGV[9] == 'whole' and redis.call('HGET', canvas, 'snapshot') or ''
return { it[1], it[2] or '', it[5] or '', it[6] or '0', it[8] or '0', it[9] or '', snapshot, it[7] or ARGV[7], it[10] or '',
  it[11] or '0', redis.call('ZRANGE', KEYS[5], 0, -1), { takes.charged, takes.grown, takes.used } }
