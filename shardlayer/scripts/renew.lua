-- Renews a node's lease on one shard.
--
-- KEYS  1 alive   2 born
-- ARGV  1 node    2 lease TTL, ms
-- Returns  1 if the lease still ran, 0 if it had ended or the registry is new: the node must then
--          join its groups again, since its members may have been forgotten.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('SET', KEYS[2], string.format('%.0f', now), 'NX')
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
if ends and tonumber(ends) > now then
  return 1
end
return 0
