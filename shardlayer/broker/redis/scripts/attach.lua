-- Makes a normal channel a member of a group.
--
-- KEYS  1 nodes
-- ARGV  1 the member's field, '#CHANNEL'   2 how long the membership lasts, ms
-- Returns  1
--
-- A normal channel belongs to no node, so it stands beside them under a name that no node has. The
-- publish script hands it back to the publisher, which appends to its queue: that lies on the
-- channel's own shard, where this shard's scripts must not write.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + tonumber(ARGV[2])))
return 1
