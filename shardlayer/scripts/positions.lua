-- Answers where groups stand, and keeps the epochs of those that nothing was published to yet.
--
-- KEYS  meta of each group
-- ARGV  for each: how long an epoch is kept while nothing is published, ms
-- Returns  for each: its offset, its epoch ('' if it has none)

local reply = {}
for i = 1, #KEYS do
  local meta = redis.call('HMGET', KEYS[i], 'o', 'e')
  local offset = tonumber(meta[1] or '0')
  if meta[2] and offset == 0 then
    redis.call('PEXPIRE', KEYS[i], ARGV[i])
  end
  reply[#reply + 1] = offset
  reply[#reply + 1] = meta[2] or ''
end
return reply
