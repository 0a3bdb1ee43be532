-- Commits batches and tells them, and tells what is told only.
-- KEYS: relay, instances, then for each piece: canvas, log
-- ARGV: era, number, then for each piece: channel, 'b' or 'e', bytes
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Whoever was taken out for dead comes in again first: nobody would turn its clients away. And who appends lives.
if not redis.call('ZSCORE', KEYS[2], ARGV[2]) then
  return redis.error_reply('STALE this instance was taken for dead')
end
redis.call('ZADD', KEYS[2], now, ARGV[2])
local pieces = (#KEYS - 2) / 2
-- All or nothing: a script that ends halfway is not rolled back.
local heads = {}
for piece = 0, pieces - 1 do
  if ARGV[piece * 3 + 4] == 'b' then
    heads[piece] = redis.call('HMGET', KEYS[piece * 2 + 3], 'n', 't')
    if not heads[piece][1] then
      return redis.error_reply('STALE a canvas is gone')
    end
  end
end
for piece = 0, pieces - 1 do
  local canvas, log = KEYS[piece * 2 + 3], KEYS[piece * 2 + 4]
  local channel, bytes = ARGV[piece * 3 + 3], ARGV[piece * 3 + 5]
  local head = heads[piece]
  if head then
    local n = string.format('%.0f', head[1] + 1)
    local t = string.format('%.0f', math.max(now, tonumber(head[2])))
    redis.call('HSET', canvas, 'n', n, 't', t)
    redis.call('XADD', log, n .. '-0', 't', t, 'b', bytes)
    redis.call('PUBLISH', channel, 'b' .. n .. ' ' .. t .. ' ' .. bytes)
  else
    redis.call('PUBLISH', channel, 'e' .. bytes)
  end
end
return 'OK'
