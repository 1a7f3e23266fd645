-- Renews a node's lease on one shard.
--
-- KEYS  1 alive   2 born
-- ARGV  1 node    2 lease TTL, ms
-- Returns  1 if the lease still ran, 0 if it had ended or the registry is newer than it: the node
--          must then join its groups again, since its members may have been forgotten.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('SET', KEYS[2], string.format('%.0f', now), 'NX')
local born = tonumber(redis.call('MGET', KEYS[2])[1] or '') or now
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0')
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
if ends > now and ends - tonumber(ARGV[2]) >= born then
  return 1
end
return 0
