-- Whoever was overtaken too often commits next: the others wait, for as long as ARGV[4] says. 1 if it is so.
-- KEYS: relay, state
-- ARGV: era, time, who, milliseconds
local now = clock()
local state = redis.call('HMGET', KEYS[2], 'owner', 'until')
if state[1] and state[1] ~= ARGV[3] and (tonumber(state[2] or '') or 0) > now then
  return 0
end
even_if_full()
redis.call('HSET', KEYS[2], 'owner', ARGV[3], 'until', number(now + tonumber(ARGV[4])))
return 1
