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
if not known[1] then
  local last = '0'
  if tonumber(ARGV[2]) > 0 or redis.call('EXISTS', instances, ARGV[11] .. 'names') > 0 then
    -- Somebody removed it from a relay that is there. No number may be given twice, since canvases know what came from
    -- each: minutes are more than instances ever were.
    last = string.format('%.0f', math.floor((time[1] - 1577836800) / 60))
  end
  redis.call('HSET', relay, 'id', ARGV[9], 'format', ARGV[8], 'last_instance', last)
  if ARGV[12] ~= '0' then
    redis.call('HSET', relay, 'hooks', ARGV[12])
  end
  known = { ARGV[9], ARGV[8], false, last, false, false }
end
if known[2] ~= ARGV[8] then
  return { 'format', known[2] }
end
local number = tonumber(ARGV[2])
if known[3] ~= ARGV[7] then
  -- Those that died, with nobody left to take them out, do not count. Who lost its connection comes back sooner than that.
  local beats = redis.call('ZRANGE', instances, 0, -1, 'WITHSCORES')
  for i = 1, #beats, 2 do
    local sign = ARGV[11] .. known[1] .. ':/' .. beats[i]
    local lives = redis.call('PUBSUB', 'NUMSUB', sign)[2] > 0 or tonumber(beats[i + 1]) > now - 3000
    if known[3] and lives and tonumber(beats[i]) ~= number then
      return { 'rules', known[3] }
    end
  end
  redis.call('HSET', relay, 'rules', ARGV[7])
end
-- Another server, or another run of it, may have lost the last moments of the one before: what was told then must not go on before it
-- is proven that nothing was. An era is drawn: a server that comes back, having been left, must not have the name that it had.
local era = known[5]
if not era or known[6] ~= ARGV[1] then
  era = ARGV[10]
  redis.call('HSET', relay, 'era', era, 'run', ARGV[1], 'since', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), 'proof', '')
  if not known[5] then
    redis.call('HSET', relay, 'base', era)
  end
  redis.call('DEL', KEYS[4])
  for _, other in ipairs(redis.call('ZRANGE', instances, 0, -1)) do
    redis.call('SADD', KEYS[4], other)
  end
end
if redis.call('ZCARD', instances) == 0 then
  redis.call('HDEL', relay, 'skew')
end
now = now + tonumber(redis.call('HGET', relay, 'skew') or '0')
if number == 0 then
  number = redis.call('HINCRBY', relay, 'last_instance', 1)
elseif tonumber(known[4]) < number then
  redis.call('HSET', relay, 'last_instance', number)
end
local own = KEYS[3] .. number
local token = redis.call('HGET', own, 'token')
if token and token ~= ARGV[3] then
  return { 'taken', token }
end
redis.call('ZADD', instances, now, number)
redis.call('DEL', own .. ':reaping')
redis.call('HSET', own, 'token', ARGV[3], 'name', ARGV[4], 'pid', ARGV[5], 'host', ARGV[6])
return { 'in', known[1], era, number, now }
