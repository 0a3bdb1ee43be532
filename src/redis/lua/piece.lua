-- Keeps a part of a snapshot that is not in force yet. Nobody may ever say that it is: then it goes by itself.
-- KEYS: relay, the snapshot
-- ARGV: era, time, which, bytes
even_if_full()
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('EXPIRE', KEYS[2], 600)
return 1
