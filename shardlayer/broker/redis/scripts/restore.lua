-- Puts a message back at the head of a channel's queue, from where it was taken for nobody.
--
-- KEYS  1 queue    2 waiting
-- ARGV  1 the element, as receive.lua answered it   2 inbox prefix   3 wake-up (a packed batch)
-- Returns  1, or 0 if it has expired
--
-- It goes back to its place and keeps its expiry. A full channel takes it, too: it had room before.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local left = struct.unpack('>I8', ARGV[1]) - now
if left <= 0 then
  return 0
end
local node = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
-- Messages that still wait are younger, and so is the key's own expiry.
if redis.call('LPUSH', KEYS[1], ARGV[1]) == 1 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', left))
end
-- The wake-up is as in send.lua: no script can call another.
while node do
  redis.call('ZREM', KEYS[2], node)
  if redis.call('SPUBLISH', ARGV[2] .. node, ARGV[3]) > 0 then
    break
  end
  node = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
end
return 1
