-- Puts a canvas back from an instance's copy, after somebody removed or overwrote some of its keys. What is there of it is set
-- aside under another name, not thrown away. Copies find that their place is gone, and read it anew.
-- KEYS: relay, canvas, log, rows, totals, names of canvases
-- ARGV: era, time, n of the copy, which snapshot ('' if it is here), its parts, the snapshot if it is here, rules, a
-- name to set aside under, the snapshot that can't be read ('-' if it is not for that, '<' also where there are fewer
-- batches than the copy has), the canvas's name, the epoch that it began with ('': that is not known)
local canvas, log, now = KEYS[2], KEYS[3], clock()
local n = tonumber(ARGV[3])
local head = redis.pcall('HMGET', canvas, 'n', 't', 'saved', 'snap', 'epoch', 'replaced')
local top = redis.pcall('XREVRANGE', log, '+', '-', 'COUNT', 1)
local last = not top.err and top[1] and tonumber((string.gsub(top[1][1], '-.*', '')))
local known = not head.err and tonumber(head[1] or '')
local whole = known and tonumber(head[2] or '') and (known == last or known == tonumber(head[3] or '0'))
local behind = whole and ARGV[9] == '<' and known < n
-- The epoch of another canvas, which somebody put in its place.
local other = not head.err and ARGV[11] ~= '' and head[5] ~= ARGV[11] and head[5]
if whole and not behind and not other and (head[3] or '0') .. ' ' .. (head[4] or '') ~= ARGV[9] then
  -- Somebody else was faster.
  return '0'
end
n = math.max(n, last or 0, known or 0)
even_if_full()
local sums, takes = sums_of(KEYS[5]), takes_of(canvas)
if takes then
  -- What it takes is counted anew.
  take(sums, takes, 0, 0)
  put_sums(sums)
end
for _, key in ipairs({ canvas, log }) do
  if redis.call('EXISTS', key) == 1 then
    redis.call('RENAME', key, key .. ARGV[8])
    redis.call('EXPIRE', key .. ARGV[8], 604800)
  end
end
redis.call('UNLINK', KEYS[4])
-- So far on that no copy takes what comes for what follows.
n = number(n + 1048576)
redis.call('HSET', canvas, 'n', n, 't', number(now), 'h', '', 'base', '', 'saved', n, 'snap', ARGV[4], 'pieces', ARGV[5], 'rules', ARGV[7],
  'walk', sums.walk or '', 'takes', takes_out(takes_in(canvas, n, now, nil)))
redis.call('ZADD', KEYS[6], 0, ARGV[10])
if ARGV[11] ~= '' then
  redis.call('HSET', canvas, 'epoch', ARGV[11])
end
local replaced = other or (not head.err and head[6])
if replaced then
  -- Whoever has a copy of that one takes this one, and does not put its own back.
  redis.call('HSET', canvas, 'replaced', replaced)
end
if ARGV[4] == '' then
  redis.call('HSET', canvas, 'snapshot', ARGV[6])
end
return n
