-- Forgets what is in groups and gone: nodes without a lease, channels whose membership has ended;
-- and the leases that have ended.
--
-- KEYS  1 alive   then nodes of each group
-- Returns  how many were forgotten in groups
--
-- The publish script does so where something is published; this is for where nothing is. A node
-- whose lease ended and that is not gone finds out when it renews it, and registers again.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local leased = {}
local leases = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #leases, 2 do
  leased[leases[i]] = tonumber(leases[i + 1]) > now
end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))

local forgotten = 0
for i = 2, #KEYS do
  local members = redis.call('HGETALL', KEYS[i])
  for j = 1, #members, 2 do
    local is_there
    if string.sub(members[j], 1, 1) == '#' then
      is_there = (tonumber(members[j + 1]) or 0) > now
    else
      is_there = leased[members[j]]
    end
    if not is_there then
      forgotten = forgotten + redis.call('HDEL', KEYS[i], members[j])
    end
  end
end
return forgotten
