-- An instance comes, or comes back after its connection broke.
-- KEYS: relay, instances, instance, instances that are waited for
-- ARGV: run id of this server, number (0: none yet), token, name, pid, host, rules, format, a new relay id, a new era,
-- what channels' names begin with, the version of the hooks, as far as it knows (0: none)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local relay, instances = KEYS[1], KEYS[2]
-- A write that is allowed where memory is full allows those after it.
redis.call('ZREM', instances, '')
local known = redis.call('HMGET', relay, 'id', 'format', 'rules', 'last_instance', 'era', 'run')
local number = tonumber(ARGV[2])
-- Who else lives, and what it came in with. Those that died, with nobody left to take them out, do not count. Who lost its
-- connection comes back sooner than that.
local others, said, heard = false, {}, {}
local function receives(id, other)
  return id and redis.call('PUBSUB', 'NUMSUB', ARGV[11] .. id .. ':/' .. other)[2] > 0
end
local beats = redis.call('ZRANGE', instances, 0, -1, 'WITHSCORES')
for i = 1, #beats, 2 do
  local theirs = redis.pcall('HMGET', KEYS[3] .. beats[i], 'relay', 'format', 'rules')
  local here, there = receives(known[1], beats[i]), receives(theirs[1], beats[i])
  if tonumber(beats[i]) ~= number and (here or there or (tonumber(beats[i + 1]) or 0) > now - 3000) then
    others = true
    said[theirs[2] or 0], said[theirs[3] or 0] = true, true
    heard.here = heard.here or here
    heard.there = heard.there or (there and theirs[1])
  end
end
-- Somebody may have overwritten or removed what the relay's hash says. Its name is the one under which instances hear.
if heard.there and not heard.here then
  redis.call('HSET', relay, 'id', heard.there)
  known[1] = heard.there
end
if not known[1] then
  known[1], known[2] = ARGV[9], known[2] or ARGV[8]
  redis.call('HSET', relay, 'id', known[1], 'format', known[2])
  if ARGV[12] ~= '0' and not redis.call('HGET', relay, 'hooks') then
    redis.call('HSET', relay, 'hooks', ARGV[12])
  end
end
if not tonumber(known[4] or '') then
  known[4] = '0'
  if number > 0 or redis.call('EXISTS', instances, ARGV[11] .. 'names') > 0 then
    -- Somebody removed it from a relay that is there. No number may be given twice, since canvases know what came from
    -- each: minutes are more than instances ever were.
    known[4] = string.format('%.0f', math.floor((time[1] - 1577836800) / 60))
  end
  redis.call('HSET', relay, 'last_instance', known[4])
end
-- Its format and rules are those of whoever else lives and came in with the same. Who was in, and is alone, may say so too
-- where the format is none.
if known[2] ~= ARGV[8] then
  local none = not string.match(known[2] or '', '^%d') and not string.match(known[2] or '', '^moving')
  if not said[ARGV[8]] and (others or number == 0 or not none) then
    return { 'format', known[2] or '' }
  end
  redis.call('HSET', relay, 'format', ARGV[8])
end
if known[3] ~= ARGV[7] then
  if known[3] and others and not said[ARGV[7]] then
    return { 'rules', known[3] }
  end
  redis.call('HSET', relay, 'rules', ARGV[7])
end
-- Another server, or another run of it, may have lost the last moments of the one before: what was told then must not go on before it
-- is proven that nothing was. An era is drawn: a server that comes back, having been left, must not have the name that it had.
local era = known[5]
if not era or known[6] ~= ARGV[1] then
  era = ARGV[10]
  redis.call('HSET', relay, 'era', era, 'run', ARGV[1], 'since', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), 'proof', '')
  redis.call('DEL', KEYS[4])
  for _, other in ipairs(redis.call('ZRANGE', instances, 0, -1)) do
    redis.call('SADD', KEYS[4], other)
  end
end
-- Somebody removed it: it is not known since when nothing was lost.
redis.call('HSETNX', relay, 'base', era)
if redis.call('ZCARD', instances) == 0 then
  redis.call('HDEL', relay, 'skew')
end
now = now + (tonumber(redis.call('HGET', relay, 'skew') or '') or 0)
if number == 0 then
  number = redis.call('HINCRBY', relay, 'last_instance', 1)
elseif tonumber(known[4]) < number then
  redis.call('HSET', relay, 'last_instance', number)
end
local own = KEYS[3] .. number
local token = redis.call('HGET', own, 'token')
-- What is no token is nobody's: somebody has overwritten it. Nor is one whose process neither hears nor lives.
local beat = tonumber(redis.call('ZSCORE', instances, number) or '') or 0
if token and token ~= ARGV[3] and #token == #ARGV[3] and (beat > now - 3000 or receives(known[1], number)) then
  return { 'taken', token }
end
redis.call('ZADD', instances, now, number)
redis.call('DEL', own .. ':reaping')
redis.call('HSET', own, 'token', ARGV[3], 'name', ARGV[4], 'pid', ARGV[5], 'host', ARGV[6],
  'relay', known[1], 'format', ARGV[8], 'rules', ARGV[7])
return { 'in', known[1], era, number, now }
