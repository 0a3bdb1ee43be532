-- Reads a row of the queue, or nothing but which commit was the last.
-- KEYS: relay, state, then the table's rows
-- ARGV: era, time, the last commit that is known ('': none), then the row's key
local state = redis.call('HMGET', KEYS[2], 'v', 'at')
local v = state[1] or ''
if ARGV[3] ~= '' and v ~= ARGV[3] then
  return { v }
end
if not KEYS[3] then
  return { v, tonumber(state[2] or '') and state[2] or '0' }
end
return { v, redis.call('HGET', KEYS[3], ARGV[4]) }
