-- Asks the nodes of a group which of its channels they receive.
--
-- KEYS  1 alive   2 nodes
-- ARGV  1 inbox prefix   2 what to ask (a packed batch)
-- Returns  {how many nodes were asked, each of them, then the normal channels that are members}
--
-- Who can't hear the question now would not hear a message of the group either, and counts as gone.

local CHANNEL_MARK = string.byte('#')

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local reply, channels = {0}, {}
local members = redis.call('HGETALL', KEYS[2])
for i = 1, #members, 2 do
  local member = members[i]
  if string.byte(member) == CHANNEL_MARK then
    if (tonumber(members[i + 1]) or 0) > now then
      channels[#channels + 1] = string.sub(member, 2)
    end
  elseif (tonumber(redis.call('ZSCORE', KEYS[1], member) or '0') or 0) > now
      and redis.call('SPUBLISH', ARGV[1] .. member, ARGV[2]) > 0 then
    reply[1] = reply[1] + 1
    reply[#reply + 1] = member
  end
end
for i = 1, #channels do
  reply[#reply + 1] = channels[i]
end
return reply
