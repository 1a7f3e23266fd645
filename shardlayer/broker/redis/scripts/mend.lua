-- Removes keys that hold another type than the layer keeps there, and what is not true without them.
--
-- KEYS  for each key: the key, and the key that `ARGV` says something of, or the key again
-- ARGV  1 a wake-up (a packed batch) and 2 the all-nodes channel, both '' if no key is of readers
--       then for each key: its type; what is to be done once it is removed:
--         '' nothing
--         'forget' the other key goes too: a room's meta, so that it gets a new epoch
--         'announce' the other key goes too: what the nodes announced of their people, so that each
--           announces all of them again; it says that rooms have to be counted anew (watch.lua)
--         'distrust' the other key says that the registry is new: everything is published to all
--           nodes for a lease, and each registers its groups again when it renews its lease
--         'wake' all nodes look at the channel's queue, and register as its readers again
-- Returns  the keys that were removed
--
-- What was there is lost: no part of the layer put it there. A type is found out by a command that
-- a user of the layer may execute anyway.

local SIZES = {hash = 'HLEN', list = 'LLEN', stream = 'XLEN', string = 'STRLEN', zset = 'ZCARD'}

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local removed = {}
for i = 1, #KEYS, 2 do
  local key, other, kind, consequence = KEYS[i], KEYS[i + 1], ARGV[i + 2], ARGV[i + 3]
  local size = redis.pcall(SIZES[kind], key)
  if type(size) == 'table' and string.find(size.err, '^WRONGTYPE') then
    redis.call('UNLINK', key)
    removed[#removed + 1] = key
    if consequence == 'forget' then
      redis.call('UNLINK', other)
    elseif consequence == 'announce' then
      redis.call('UNLINK', other)
      redis.call('HSET', other, '#', string.format('%.0f', now))
    elseif consequence == 'distrust' then
      -- Later than every lease that was renewed until now.
      redis.call('SET', other, string.format('%.0f', now + 1))
    elseif consequence == 'wake' then
      redis.call('SPUBLISH', ARGV[2], ARGV[1])
    end
  end
end
return removed
