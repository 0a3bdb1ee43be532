-- Goes before each script that changes what canvases take. What all take together is in one hash, changed in the same
-- step as a canvas's own numbers. While all are counted again (recount.lua), the sums of those that were counted are
-- kept in the same way. What somebody has overwritten counts as nothing until then.
local function sums_of(key)
  local it = redis.call('HMGET', key, 'log', 'stored', 'walk')
  local sums = { key = key, log = tonumber(it[1] or '0') or 0, stored = tonumber(it[2] or '0') or 0, walk = it[3] }
  if sums.walk then
    local walk = redis.call('HMGET', key, 'walk_log', 'walk_stored')
    sums.walk_log, sums.walk_stored = tonumber(walk[1] or '0') or 0, tonumber(walk[2] or '0') or 0
  end
  return sums
end
local function put_sums(sums)
  if sums.changed then
    redis.call('HSET', sums.key, 'log', number(sums.log), 'stored', number(sums.stored))
    if sums.walk then
      redis.call('HSET', sums.key, 'walk_log', number(sums.walk_log), 'walk_stored', number(sums.walk_stored))
    end
  end
end
-- What a canvas takes, in one field of numbers: bytes of its log, bytes of its objects and chat, the sums of all that was ever asked for of
-- both, the batch of the last count, when it was used, when it goes, when its log is empty (0: that is not known), and 1 if nobody has
-- written to it.
local TAKES = '>ddddddddd'
local function takes_in(canvas, n, t, text)
  local it = { canvas = canvas, n = n, t = t }
  if text and #text == 72 then
    it.log, it.stored, it.charged, it.grown, it.counted, it.used, it.ends, it.log_ends, it.fresh = struct.unpack(TAKES, text)
  else
    it.log, it.stored, it.charged, it.grown, it.counted, it.used = 0, 0, 0, 0, 0, t or 0
    it.ends, it.log_ends, it.fresh = 0, 0, 0
  end
  return it
end
local function takes_out(it)
  return struct.pack(TAKES, it.log, it.stored, it.charged, it.grown, it.counted, it.used, it.ends, it.log_ends, it.fresh)
end
-- Nothing where it has no hash.
local function takes_of(canvas)
  local it = redis.pcall('HMGET', canvas, 'n', 't', 'takes')
  if it.err or not it[1] then
    return nil
  end
  return takes_in(canvas, it[1], tonumber(it[2] or '0') or 0, it[3])
end
local function put_takes(it)
  redis.call('HSET', it.canvas, 'takes', takes_out(it))
end
local function take(sums, it, log, stored)
  local more_log, more_stored = log - it.log, stored - it.stored
  if more_log ~= 0 or more_stored ~= 0 then
    sums.log, sums.stored = math.max(0, sums.log + more_log), math.max(0, sums.stored + more_stored)
    if sums.walk and sums.walk == redis.call('HGET', it.canvas, 'walk') then
      sums.walk_log, sums.walk_stored = sums.walk_log + more_log, sums.walk_stored + more_stored
    end
    it.log, it.stored, sums.changed = log, stored, true
  end
end
-- A copy says what it is at batch n. What was asked for since comes on top.
local function settle(sums, it, n, log, stored, charged, grown)
  if n >= it.counted then
    it.counted = n
    take(sums, it, log + math.max(0, it.charged - charged), stored + math.max(0, it.grown - grown))
  end
end
