-- Answers where groups stand, and keeps their epochs: somebody is in them.
--
-- KEYS  meta of each group
-- ARGV  for each: how long an epoch is kept at least, ms
-- Returns  for each: its offset, its epoch ('' if it has none)

local reply, metas = {}, redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
  local last, epoch = string.match(metas[i] or '', '^(%d+) (%S%S%S%S%S%S%S%S) ')
  if last and #last > 16 then  -- no offset that was counted: see publish.lua
    last, epoch = nil, nil
  end
  local offset = tonumber(last or '0')
  if epoch then
    redis.call('PEXPIRE', KEYS[i], ARGV[i], 'GT')
  end
  reply[#reply + 1] = offset
  reply[#reply + 1] = epoch or ''
end
return reply
