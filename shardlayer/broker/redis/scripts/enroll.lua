-- Tells another node to add one of its channels to a group, or to discard it from the group.
--
-- KEYS  1 alive   2 nodes   3 orders
-- ARGV  1 node    2 inbox prefix   3 how a message to a node begins   4 what to tell it (a body)
--       5 1 to add, 0 to discard   6 how long it is kept, ms   7 how many are kept at most
-- Returns  1 if the node was told, or will be, or has no lease; 0 if it is alive, but hears nothing,
--          and no more is kept for it
--
-- The node registers itself for the group when it reads this. It is registered here already, so
-- that what is published next finds it and arrives behind this on the same pub/sub channel.
--
-- What it is told is kept until it says that it has taken it, whether it hears it or not: the
-- connection over which it would may be lost with it. A node that hears nothing may be one that is
-- on its way back, or stands still, or is gone; so it is kept in each case. The same is kept once,
-- with its last number. Numbers grow, also when there were none: they are µs of Redis's clock.
--
-- A discard is no less needed while the server's memory is full. So its first write is one that is
-- allowed then, and with it all of them. An add fails then, before anything is done.

local NO_EPOCH = '\0\0\0\0\0\0\0\0'
local LARGEST = 9007199254740992  -- how far a double counts

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local number = clock[1] * 1000000 + clock[2]

local last = tonumber(redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2] or '0')
if number <= last and last < LARGEST then
  number = last + 1
end
local is_full = redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[7])
  and not redis.call('ZSCORE', KEYS[3], ARGV[4])
local is_alive = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0') > now

if ARGV[5] == '1' and is_alive then
  redis.call('HSETNX', KEYS[2], ARGV[1], '1')
end
if not is_full then
  if ARGV[5] == '0' then
    redis.call('ZREM', KEYS[3], ARGV[4])
  end
  redis.call('ZADD', KEYS[3], string.format('%.0f', number), ARGV[4])
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
end
local head = struct.pack('>I8c8I4', is_full and 0 or number, NO_EPOCH, #ARGV[4])
local heard = redis.call('SPUBLISH', ARGV[2] .. ARGV[1], ARGV[3] .. head .. ARGV[4])
-- Where no more is kept, who has no lease is taken for gone: its channels are in no group.
if heard > 0 or not is_full or not is_alive then
  return 1
end
return 0
