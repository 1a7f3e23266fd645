-- Answers where groups stand, and keeps the epochs of those that nothing was published to yet.
--
-- KEYS  meta of each group
-- ARGV  for each: how long an epoch is kept while nothing is published, ms
-- Returns  for each: its offset, its epoch ('' if it has none)

local reply, metas = {}, redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
  local last, epoch = string.match(metas[i] or '', '^(%d+) (%S%S%S%S%S%S%S%S) ')
  if last and #last > 15 then  -- no offset that was counted: see publish.lua
    last, epoch = nil, nil
  end
  local offset = tonumber(last or '0')
  if epoch and offset == 0 then
    redis.call('PEXPIRE', KEYS[i], ARGV[i])
  end
  reply[#reply + 1] = offset
  reply[#reply + 1] = epoch or ''
end
return reply
