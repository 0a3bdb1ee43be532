-- Gives a canvas to an instance, creating it if it is new: its last snapshot and all batches since.
-- KEYS: relay, canvas, log, the instance's canvases
-- ARGV: era, name, the epoch of a new canvas, a batch that begins a new epoch, channel, rules
local era = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local canvas, log = KEYS[2], KEYS[3]
redis.call('SADD', KEYS[4], ARGV[2])
local known = redis.call('HMGET', canvas, 'n', 't', 'era', 'epoch', 'saved', 'snapshot', 'rules')
if not known[1] then
  redis.call('HSET', canvas, 'n', 0, 't', now, 'era', era, 'epoch', ARGV[3], 'rules', ARGV[6])
  return { '0', ARGV[3], '0', '', {}, ARGV[6] }
end
local n = known[1]
if known[3] ~= era then
  n = string.format('%.0f', n + 1)
  local t = string.format('%.0f', math.max(now, tonumber(known[2])))
  redis.call('HSET', canvas, 'n', n, 't', t, 'era', era)
  redis.call('XADD', log, n .. '-0', 't', t, 'b', ARGV[4])
  redis.call('PUBLISH', ARGV[5], 'b' .. n .. ' ' .. t .. ' ' .. ARGV[4])
end
local saved = known[5] or '0'
local since = redis.call('XRANGE', log, string.format('%.0f', saved + 1) .. '-0', '+')
return { n, known[4], saved, known[6] or '', since, known[7] or ARGV[6] }
