-- The server's clock stepped: by so much it is corrected, unless somebody did that.
-- KEYS: relay
-- ARGV: era, time, the correction until now, the new one
even_if_full()
if tonumber(relay[3] or '0') == tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'skew', ARGV[4])
end
return 1
