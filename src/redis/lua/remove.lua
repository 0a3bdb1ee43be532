-- Takes an instance out whose clients were turned away, unless it has said something since.
-- KEYS: instances, instance, its canvases
-- ARGV: number, its last heartbeat as it was known ('' whatever it is)
local beat = redis.call('ZSCORE', KEYS[1], ARGV[1])
if beat and ARGV[2] ~= '' and tonumber(beat) ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3])
return 1
