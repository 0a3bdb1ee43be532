-- Tells where a canvas is, with its snapshot if that is small, as open.lua does, but without the instances; and whether something was
-- lost. Nothing is changed. Nothing where there is no canvas.
-- KEYS: relay, canvas
-- ARGV: era, time
local it = redis.call('HMGET', KEYS[2], 'n', 'h', 'epoch', 'saved', 'pieces', 'snap', 'snapshot', 'rules', 'rows', 'told', 't',
  'takes', 'base')
if not it[1] then
  return false
end
local takes = takes_in(KEYS[2], it[1], tonumber(it[11] or '0'), it[12])
return { { it[1], it[2] or '', it[3] or '', it[4] or '0', it[5] or '0', it[6] or '', it[7] or '', it[8] or '', it[9] or '',
  it[10] or '0', {}, { takes.charged, takes.grown, takes.used } }, it[13] == base and 0 or 1 }
