-- Commits batches and tells them, and tells what is told only. Gives the relay's count of commits, and for each piece its number and
-- its time with the version of its hooks, or why it was not taken: in words, or -1 and how full the logs are, -2 and what is left of all, -3 where somebody uses it.
-- KEYS: relay, instances, totals, then for each piece: canvas, log
-- ARGV: era, time, number, 'full' if it must work where memory is full, 'tell' or 'keep', bytes of one log, of all logs, how much longer
-- a log may be than what is left, bytes of all ('': any), how long nobody must have used it (ms), how long it is remembered (ms), then
-- for each piece: channel, 'b' or 'e', bytes, what it asks for: numbers (charge, the last message's, growth, the batch that it must be at,
-- what a copy says: n, log, stored, charged, grown; -1 for an n that is none), then whether there must be room in the logs, and in all,
-- whether somebody uses it, whether it is emptied, and then the epoch that the canvas began with (nothing: that is not known)
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
local sums = sums_of(KEYS[3])
local one_log, all_logs, share, most = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
-- What the piece at hand asks for, and what its canvas takes.
local canvas, charge, last, growth, at, n, log, stored, charged, grown, in_logs, in_total, uses, empties, of
local it
local asks = {}
function asks.before(last_n, t, text, epoch)
  if epoch and epoch ~= of and of ~= '' then
    -- Somebody put it in the place of the one that was here.
    return 'it is another canvas'
  end
  if n > last_n then
    -- In one era nothing is lost but by hand.
    return 'a process has more of it than there is'
  end
  it = takes_in(canvas, last_n, t, text)
  if n >= 0 then
    settle(sums, it, n, log, stored, charged, grown)
  end
  if at >= 0 and (at ~= last_n or it.ends > 0 or it.used > now - tonumber(ARGV[10])) then
    return { -3 }
  end
  if charge > 0 and in_logs == 1 then
    -- As Quotas::full_log has it, for the last of the messages: where that has room, those before it had.
    local before, left = charge - last, math.max(0, all_logs - sums.log - charge + last)
    local own = it.log + charge
    if (own > one_log and it.log + before > 0) or ((own > left * share or last > left) and sums.log + before > 0) then
      return { -1, it.log, sums.log }
    end
  end
  if most and in_total == 1 and growth > 0 and growth > most - sums.log - sums.stored then
    return { -2, most - sums.log - sums.stored }
  end
end
function asks.after()
  take(sums, it, it.log + charge, it.stored + growth)
  it.charged, it.grown = it.charged + charge, it.grown + growth
  if uses == 1 then
    it.used = now
  end
  if charge > 0 then
    it.ends, it.log_ends, it.fresh = 0, 0, 0
  end
  if empties == 1 then
    it.ends = now + tonumber(ARGV[11])
  end
  return takes_out(it)
end
local ends = { redis.call('HINCRBY', KEYS[1], 'commits', 1) }
for piece = 0, (#KEYS - 3) / 2 - 1 do
  local channel, bytes = ARGV[piece * 4 + 12], ARGV[piece * 4 + 14]
  if ARGV[piece * 4 + 13] == 'b' then
    canvas, it = KEYS[piece * 2 + 4], nil
    charge, last, growth, at, n, log, stored, charged, grown, in_logs, in_total, uses, empties =
      struct.unpack('>dddddddddBBBB', ARGV[piece * 4 + 15])
    of = string.sub(ARGV[piece * 4 + 15], 77)
    local why, as, t = keep(canvas, KEYS[piece * 2 + 5], now, bytes, asks)
    if not why and ARGV[5] == 'tell' then
      redis.call('PUBLISH', channel, 'b' .. as .. ' ' .. t .. ' ' .. bytes)
    elseif why and it then
      -- What a copy said holds all the same.
      put_takes(it)
    end
    ends[piece + 2] = why or { tonumber(as), t }
  else
    redis.call('PUBLISH', channel, 'e' .. bytes)
    ends[piece + 2] = { 0, '0' }
  end
end
put_sums(sums)
return ends
