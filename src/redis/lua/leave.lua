-- An instance gives a canvas up of which it has kept everything. What nobody needs any more goes.
-- KEYS: relay, canvas, log, rows, the instance's canvases, instances, canvases that somebody is away on
-- ARGV: era, time, name, n, what is left ('nothing': it was never used; 'deleted'; 'much'), its number, what instances' names begin with,
-- how long what is deleted is remembered (s), when the grace of who is away ends ('' if nobody is)
local canvas, log = KEYS[2], KEYS[3]
even_if_full()
redis.call('SREM', KEYS[5], ARGV[3])
for _, instance in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  if redis.call('SISMEMBER', ARGV[7] .. instance .. ':canvases', ARGV[3]) == 1 then
    return 0
  end
end
if ARGV[9] ~= '' then
  redis.call('ZADD', KEYS[7], ARGV[9], ARGV[3])
end
local known = redis.call('HMGET', canvas, 'n', 'saved', 'snap')
if known[1] ~= ARGV[4] then
  return 0
end
if ARGV[5] == 'nothing' then
  redis.call('UNLINK', canvas, log, KEYS[4])
elseif known[2] == known[1] then
  redis.call('UNLINK', log)
  if ARGV[5] == 'deleted' then
    redis.call('UNLINK', KEYS[4])
    redis.call('HSET', canvas, 'left', '1')
    redis.call('EXPIRE', canvas, ARGV[8])
  end
end
return 1
