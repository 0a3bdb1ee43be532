-- Tells batches that were appended without being told, if they are still there: somebody may have removed a canvas's
-- keys meanwhile, and it was put back by who had not heard of them. Gives 1 for each that was told, and 0 for the
-- others.
-- KEYS: relay, then for each batch: canvas, log
-- ARGV: era, time, then for each batch: channel, its number, its time with the version of its hooks, what is told
local told = {}
for at = 1, (#KEYS - 1) / 2 do
  local channel, n, t, message = ARGV[at * 4 - 1], ARGV[at * 4], ARGV[at * 4 + 1], ARGV[at * 4 + 2]
  local last = redis.pcall('HGET', KEYS[at * 2], 'n')
  local kept = redis.pcall('XRANGE', KEYS[at * 2 + 1], n .. '-0', n .. '-0')
  told[at] = 0
  if type(last) == 'string' and tonumber(last) and tonumber(last) >= tonumber(n) and not kept.err and kept[1]
    and kept[1][2][2] == t then
    redis.call('PUBLISH', channel, message)
    told[at] = 1
  end
end
return told
