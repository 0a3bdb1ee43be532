-- Goes before each script that is of an era: KEYS[1] is the relay, ARGV[1] the era that the instance knows.
local relay = redis.call('HMGET', KEYS[1], 'id', 'era')
if (relay[1] or '') .. '/' .. (relay[2] or '') ~= ARGV[1] then
  return redis.error_reply('STALE the relay began anew')
end
