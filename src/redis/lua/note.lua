-- Notes what is on canvases, for those who list them, and what they take.
-- KEYS: relay, totals, canvases
-- ARGV: era, time, then for each canvas: n, the note, log, stored, charged, grown
even_if_full()
local sums = sums_of(KEYS[2])
for i = 3, #KEYS do
  local at = (i - 3) * 6 + 3
  local it, n = takes_of(KEYS[i]), tonumber(ARGV[at])
  if it then
    local known = redis.call('HGET', KEYS[i], 'note')
    if n > tonumber(string.match(known or '', '^%d+') or '-1') then
      redis.call('HSET', KEYS[i], 'note', ARGV[at + 1])
    end
    settle(sums, it, n, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]))
    put_takes(it)
  end
end
put_sums(sums)
return 1
