-- Says which nodes that have people in rooms are gone, and whether what one node announced stands.
--
-- KEYS  1 present   2 alive
-- ARGV  1 node   2 the number of its last announcement; 0: it made none
--       3 how long before its end a lease counts as over, ms
-- Returns  {1 if that is the last that the shard has, else 0,
--           ms until the next lease ends unless it is renewed, -1 if no node with people has one,
--           1 if rooms have to be counted anew, since something of theirs was removed (mend.lua), else 0,
--           then each node whose lease has ended}

local COUNTING = 3600000  -- ms after a removal in which nodes that compare count anew

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local last = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '0 ', '^(%d+) ')
local reply = {last == ARGV[2] and 1 or 0, -1, 0}
local nodes = {}
for _, node in ipairs(redis.call('HKEYS', KEYS[1])) do
  if node ~= '#' then
    nodes[#nodes + 1] = node
  elseif now - (tonumber(redis.call('HGET', KEYS[1], '#')) or 0) < COUNTING then
    reply[3] = 1
  else
    redis.call('HDEL', KEYS[1], '#')
  end
end
if #nodes > 0 then
  local leases = redis.call('ZMSCORE', KEYS[2], unpack(nodes))
  for i = 1, #nodes do
    local left = (tonumber(leases[i] or nil) or 0) - now - tonumber(ARGV[3])
    if left <= 0 then
      reply[#reply + 1] = nodes[i]
    elseif reply[2] < 0 or left < reply[2] then
      reply[2] = left
    end
  end
end
return reply
