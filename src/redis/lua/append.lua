-- Commits batches and tells them, and tells what is told only. Gives the relay's count of commits, and for each piece its number and
-- its time with the version of its hooks, or why it was not taken.
-- KEYS: relay, instances, then for each piece: canvas, log
-- ARGV: era, time, number, 'full' if it must work where memory is full, 'tell' or 'keep', then for each piece: channel, 'b' or 'e', bytes
local now = clock()
-- Whoever was taken out for dead comes in again first: nobody would turn its clients away. And who appends lives.
if not redis.call('ZSCORE', KEYS[2], ARGV[3]) then
  return redis.error_reply('STALE this instance was taken for dead')
end
if ARGV[4] == 'full' then
  even_if_full()
end
-- The first write: where memory is full it fails, and nothing has happened.
redis.call('ZADD', KEYS[2], now, ARGV[3])
local ends = { redis.call('HINCRBY', KEYS[1], 'commits', 1) }
for piece = 0, (#KEYS - 2) / 2 - 1 do
  local channel, bytes = ARGV[piece * 3 + 6], ARGV[piece * 3 + 8]
  if ARGV[piece * 3 + 7] == 'b' then
    local why, n, t = keep(KEYS[piece * 2 + 3], KEYS[piece * 2 + 4], now, bytes)
    if not why and ARGV[5] == 'tell' then
      redis.call('PUBLISH', channel, 'b' .. n .. ' ' .. t .. ' ' .. bytes)
    end
    ends[piece + 2] = why or { tonumber(n), t }
  else
    redis.call('PUBLISH', channel, 'e' .. bytes)
    ends[piece + 2] = { 0, '0' }
  end
end
return ends
